"""The tree over the store: tips, reorganisations, reopening."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain import branch_states as module
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.state import State
from bift_ros.consensus.transition import state_transition


def extend(chain: Blockchain, block: Block) -> Any:
    """Validate and add a block as a peer does."""
    parent = chain.state_at(block.header.previous_hash)
    state = state_transition(parent, chain.genesis, block, block.header.timestamp)
    return chain.add(block, state)


@pytest.fixture
def chain(fleet: Any, tmp_path: Path) -> Any:
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        yield Blockchain(fleet.genesis, store)


def test_extending_the_tip(fleet: Any, chain: Blockchain) -> None:
    assert chain.tip_state == fleet.start
    block = fleet.block(chain.tip_state, [fleet.sign(0, fleet.proposal())])
    reorg = extend(chain, block)
    assert chain.tip.hash == block.hash
    assert (reorg.removed, reorg.added) == ((), (block,))
    assert extend(chain, block) is None
    assert chain.tip_state.task is not None
    assert chain.block(block.hash) == block
    assert chain.canonical(1, 5) == [block]


def test_learning_takes_the_chain_from_a_longer_branch(fleet: Any, chain: Blockchain) -> None:
    proposal = fleet.block(chain.tip_state, [fleet.sign(0, fleet.proposal())])
    extend(chain, proposal)
    fork = chain.tip_state
    long = []
    for _ in range(5):
        long.append(fleet.block(chain.tip_state, miner=4))
        extend(chain, long[-1])
    learning = fleet.model_block(fork, [0, 1, 2])
    reorg = extend(chain, learning)
    assert reorg.removed == tuple(long)
    assert reorg.added == (learning,)
    assert chain.canonical(1, 9) == [proposal, learning]
    # A side branch grows without moving the tip, until it outweighs the chain.
    side = chain.state_at(long[-1].hash)
    four = fleet.model_block(side, [0, 1, 2, 3])
    reorg = extend(chain, four)
    assert reorg.removed == (learning,)
    assert reorg.added == (*long, four)
    assert extend(chain, fleet.block(chain.state_at(learning.hash))) is None
    assert chain.tip.hash == four.hash


def test_a_preferred_branch_is_kept_on_reopening(fleet: Any, chain: Blockchain) -> None:
    """Else a fleet that is switched off on one of two equal branches would wake on the other."""
    extend(chain, fleet.block(chain.tip_state, [fleet.sign(0, fleet.proposal())]))
    fork = chain.tip_state
    pair = [fleet.model_block(fork, [0, 1, 2], miner=miner) for miner in (0, 1)]
    for block in pair:
        extend(chain, block)
    lower, higher = sorted(pair, key=lambda block: block.hash)
    assert chain.tip.hash == lower.hash
    reorg = chain.prefer(higher.hash)
    assert reorg is not None
    assert (reorg.removed, reorg.added) == ((lower,), (higher,))
    assert Blockchain(fleet.genesis, chain.store).tip.hash == higher.hash
    # What outranks both by learning or as a child is followed all the same.
    below = chain.state_at(lower.hash)
    extend(chain, fleet.model_block(below, [0, 1]))
    reopened = Blockchain(fleet.genesis, chain.store)
    assert reopened.tip.parent is not None
    assert reopened.tip.parent.hash == lower.hash


def test_a_preferred_branch_is_followed_to_its_end(fleet: Any, chain: Blockchain) -> None:
    """A miner that came back to the parent of its own block would sign a second one there."""
    extend(chain, fleet.block(chain.tip_state, [fleet.sign(0, fleet.proposal())]))
    pair = [fleet.model_block(chain.tip_state, [0, 1, 2], miner=miner) for miner in (0, 1)]
    ends = []
    for block in pair:
        extend(chain, block)
        ends.append(fleet.block(chain.state_at(block.hash), miner=2))
        extend(chain, ends[-1])
    higher, end = max(zip(pair, ends, strict=True), key=lambda both: both[0].hash)
    reorg = chain.prefer(higher.hash)
    assert reorg is not None
    assert reorg.added == (higher, end)
    assert chain.tip.hash == end.hash
    assert chain.prefer(higher.hash) is None  # the chain stands above it


def test_unknown_parents_and_wrong_states(fleet: Any, chain: Blockchain) -> None:
    block = fleet.block(chain.tip_state)
    orphan = fleet.block(fleet.apply(chain.tip_state, block))
    with pytest.raises(ValueError, match="not the one after"):
        chain.add(block, chain.tip_state)
    state = fleet.apply(fleet.apply(chain.tip_state, block), orphan)
    with pytest.raises(InvalidBlock, match="unknown"):
        chain.add(orphan, state)
    with pytest.raises(KeyError):
        chain.state_at(orphan.hash)
    assert chain.node(orphan.hash) is None
    assert not chain.has(orphan.hash)


def random_tree(fleet: Any, seed: int, size: int = 12) -> list[Block]:
    """Blocks of a tree with forks, some of which carry learning; parents first."""
    noise = random.Random(seed)
    states: list[State] = [fleet.with_task(total_iter=9)]
    blocks = [fleet.block(fleet.start, [fleet.sign(0, fleet.proposal(total_iter=9))])]
    for number in range(size):
        parent = noise.choice(states)
        miner = noise.randrange(5)
        if noise.random() < 0.4:
            members = noise.sample(range(5), noise.randint(2, 3))
            block = fleet.model_block(parent, members, miner=miner, later=number + 1)
        else:
            block = fleet.block(parent, miner=miner, later=number + 1)
        blocks.append(block)
        states.append(fleet.apply(parent, block))
    return blocks


@pytest.mark.parametrize("seed", range(4))
def test_order_of_arrival_and_reopening(
    fleet: Any, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CACHED_STATES", 3)  # so that states are recomputed
    blocks = random_tree(fleet, seed)
    tips = set()
    for order in range(2):
        path = tmp_path / f"{order}.db"
        waiting = random.Random(order).sample(blocks, len(blocks))
        with closing(ChainStore(path, fleet.genesis)) as store:
            chain = Blockchain(fleet.genesis, store)
            while waiting:
                block = next(b for b in waiting if chain.has(b.header.previous_hash))
                waiting.remove(block)
                before = chain.canonical(1, 99)
                reorg = extend(chain, block)
                after = chain.canonical(1, 99)
                if reorg is None:
                    assert after == before
                else:
                    kept = len(before) - len(reorg.removed)
                    assert before[kept:] == list(reorg.removed)
                    assert after == before[:kept] + list(reorg.added)
            tips.add(chain.tip.hash)
            state = chain.tip_state
        with closing(ChainStore(path, fleet.genesis)) as store:
            again = Blockchain(fleet.genesis, store)
            assert again.tip.hash == chain.tip.hash == store.tip
            assert again.tip_state == state
            assert all(again.has(block.hash) for block in blocks)
            for block in blocks[::4]:
                assert again.state_at(block.hash) == chain_state(fleet, blocks, block)
    assert len(tips) == 1


def chain_state(fleet: Any, blocks: list[Block], block: Block) -> State:
    parents = {b.hash: b for b in blocks}
    path = [block]
    while path[0].header.previous_hash in parents:
        path.insert(0, parents[path[0].header.previous_hash])
    state: State = fleet.start
    for step in path:
        state = fleet.apply(state, step)
    return state


def test_a_stored_block_that_breaks_the_rules_is_damage(fleet: Any, tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    good = fleet.block(fleet.start)
    bad = fleet.block(fleet.apply(fleet.start, good), [fleet.sign(0, fleet.proposal(), ahead=3)])
    with closing(ChainStore(path, fleet.genesis)) as store:
        store.accept(good, good.hash)
        store.accept(bad, bad.hash)
    with closing(ChainStore(path, fleet.genesis)) as store:
        chain = Blockchain(fleet.genesis, store)
        assert store.damage is not None
        assert "a stored block is invalid: transaction 0: sequence 3" in store.damage
        assert chain.tip_state == fleet.start
        assert not chain.has(good.hash)
        extend(chain, good)
        assert store.tip == good.hash
