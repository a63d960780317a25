"""Fork choice is a total order on the blocks of any tree."""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.consensus.fork_choice import BlockNode, branch_above, fork_point, outranks

ROOT = BlockNode(bytes(32), 0, None, 0, 0, b"")


@st.composite
def trees(draw: Any) -> list[BlockNode]:
    """Up to ten blocks; weights are small, so that ties are common."""
    nodes = [ROOT]
    for number in range(draw(st.integers(1, 9))):
        parent = draw(st.sampled_from(nodes))
        gain = draw(st.sampled_from([(0, 0), (0, 0), (0, 1), (1, 1), (2, 1)]))
        salt = draw(st.integers(0, 9))
        name = hashlib.sha256(bytes([number, salt])).digest()
        nodes.append(
            BlockNode(
                name,
                parent.height + 1,
                parent,
                parent.learning_weight + gain[0],
                parent.work + gain[1],
                b"",
            )
        )
    return nodes


def path_key(node: BlockNode) -> tuple[int, int, list[bytes]]:
    """The order as the module's docstring argues it: weight, work, inverted path."""
    path = [bytes(255 - byte for byte in n.hash) for n in branch_above(node, ROOT)]
    return node.learning_weight, node.work, path


@settings(max_examples=200)
@given(trees())
def test_it_is_the_lexicographic_order_of_the_docstring(nodes: list[BlockNode]) -> None:
    for a, b in permutations(nodes, 2):
        assert outranks(a, b) == (path_key(a) > path_key(b))
        assert outranks(a, b) != outranks(b, a)
    assert not any(outranks(node, node) for node in nodes)


@given(trees())
def test_a_descendant_beats_its_ancestors(nodes: list[BlockNode]) -> None:
    for node in nodes:
        ancestor = node.parent
        while ancestor is not None:
            assert outranks(node, ancestor)
            assert fork_point(node, ancestor) is ancestor
            ancestor = ancestor.parent


@given(trees(), st.randoms(use_true_random=False))
def test_every_order_of_arrival_ends_on_one_tip(nodes: list[BlockNode], random: Any) -> None:
    def best(order: list[BlockNode]) -> BlockNode:
        tip = ROOT
        for node in order:
            if outranks(node, tip):
                tip = node
        return tip

    shuffled = random.sample(nodes, len(nodes))
    assert best(nodes) is best(shuffled)


def child(parent: BlockNode, name: int, weight: int = 0, work: int = 0) -> BlockNode:
    return BlockNode(
        bytes([name]) * 32,
        parent.height + 1,
        parent,
        parent.learning_weight + weight,
        parent.work + work,
        b"",
    )


def test_learning_beats_length_and_work() -> None:
    fast = ROOT
    for name in range(50):
        fast = child(fast, name, work=2**16)
    assert outranks(child(ROOT, 255, weight=1, work=1), fast)


def test_empty_blocks_do_not_turn_a_tie() -> None:
    winner, loser = child(ROOT, 1), child(ROOT, 2)
    assert outranks(winner, loser)
    for name in range(3, 30):
        loser = child(loser, name)
        assert outranks(winner, loser)
    assert not outranks(child(loser, 0), winner)
