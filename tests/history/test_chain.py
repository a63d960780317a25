"""Blocks as a tree, and the chain that ends in one of its tips."""

from __future__ import annotations

import pytest

from bift_ros.history import tree as tree_module
from bift_ros.history.blocks import BlockSummary
from bift_ros.history.chain import ChainHistory, Relation
from bift_ros.history.tree import BlockTree


def block(name: str, parent: str, height: int) -> BlockSummary:
    return BlockSummary(name, parent, height, "m" * 40, 1000 * height, {})


def tree_of(*blocks: BlockSummary) -> BlockTree:
    tree = BlockTree()
    for each in blocks:
        tree.add(each)
    return tree


FORKED = [block("a", "genesis", 1), block("b", "a", 2), block("c", "b", 3), block("x", "a", 2)]


def test_a_branch_leads_from_its_tip_down_to_what_is_known() -> None:
    tree = BlockTree()
    for each in FORKED[::-1]:
        assert tree.add(each)
        assert not tree.add(each)
    assert [b.hash for b in tree.branch("c")] == ["c", "b", "a"]
    assert [b.hash for b in tree.branch("x")] == ["x", "a"]
    assert list(tree.branch("unknown")) == []
    assert [b.hash for b in tree.beside("c")] == ["x"]
    assert [b.hash for b in tree.beside("x")] == ["b", "c"]
    assert tree.contains("a", "c")
    assert not tree.contains("x", "c")
    assert tree.contains("unknown", "unknown")


def test_a_circle_of_claimed_hashes_ends() -> None:
    tree = BlockTree()
    tree.add(block("a", "b", 1))
    tree.add(block("b", "a", 1))
    assert [b.hash for b in tree.branch("a")] == ["a"]


def test_the_oldest_blocks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_BLOCKS", 2)
    tree = BlockTree()
    for each in FORKED[:3]:
        tree.add(each)
    assert list(tree.blocks) == ["b", "c"]
    assert tree.added == 3
    assert tree.beside("c") == []


def test_a_bound_is_for_those_who_cannot_trust_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_BLOCKS", 2)
    tree = BlockTree(bounded=False)
    for each in FORKED:
        tree.add(each)
    assert list(tree.blocks) == ["a", "b", "c", "x"]


def test_a_chain_and_what_stands_beside_it() -> None:
    history = ChainHistory(tree_of(*FORKED), "c")
    assert [b.hash for b in history.blocks] == ["a", "b", "c"]
    assert [b.hash for b in history.beside] == ["x"]
    assert history.lanes == {"a": 0, "b": 0, "c": 0, "x": 1}


@pytest.mark.parametrize(
    ("tip", "relation"),
    [
        ("b", Relation.SAME),
        ("a", Relation.BEHIND),
        ("c", Relation.AHEAD),
        ("x", Relation.FORKED),
        ("never heard of", Relation.UNKNOWN),
        ("", Relation.UNKNOWN),
    ],
)
def test_a_tip_seen_from_the_head(tip: str, relation: Relation) -> None:
    assert ChainHistory(tree_of(*FORKED), "b").relation(tip) == relation


def test_a_tip_is_not_called_forked_where_the_blocks_below_are_missing() -> None:
    tree = tree_of(block("old", "older", 3), block("d", "c", 4), block("e", "d", 5))
    history = ChainHistory(tree, "e")
    assert [b.hash for b in history.blocks] == ["d", "e"]
    assert history.relation("old") == Relation.UNKNOWN
    assert "old" not in history.lanes


def test_of_an_unknown_head_nothing_follows() -> None:
    history = ChainHistory(tree_of(*FORKED), "never heard of")
    assert (history.blocks, history.lanes, history.iterations) == ((), {}, ())
    assert history.relation("never heard of") == Relation.SAME
    assert history.relation("a") == Relation.UNKNOWN
