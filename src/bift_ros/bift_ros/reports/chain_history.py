"""What a vehicle's chain tells of a run, block after block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bift_ros.chain.store import ChainStore
from bift_ros.chain.verification import blocks_of, names_on, states
from bift_ros.consensus.blocks import Block as ChainBlock
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.consensus.state import State, initial_state
from bift_ros.reports.run import Block, Iteration


@dataclass(frozen=True)
class ChainHistory:
    """A chain from its genesis to its tip."""

    state: State
    """After the tip."""
    names: dict[str, str]
    """Address → name."""
    blocks: tuple[Block, ...]
    iterations: tuple[Iteration, ...]
    """Without what only the run itself has measured."""
    trained_on: dict[str, int]
    """Name → the samples that its last update on the chain claims."""
    learning_seconds: float

    def name(self, address: str) -> str:
        """What people call the owner of an address."""
        return self.names.get(address, address)


def read_history(genesis: Genesis, store: ChainStore) -> ChainHistory:
    """Replay a chain by every rule but PoFL. Raises InvalidBlock or StoreError."""
    chain = list(blocks_of(store))
    names = names_on(genesis, chain)
    before = initial_state(genesis)
    iterations: list[Iteration] = []
    trained_on: dict[str, int] = {}
    began = ended = None
    for block, after in zip(chain, states(genesis, chain), strict=True):
        if before.latest_task is None and after.task is not None:
            began = block.header.timestamp
        if block.body.model_info is not None:
            iterations.append(_iteration(len(iterations) + 1, block, before, after, names))
            ended = block.header.timestamp
            for sender, update in _updates(block).items():
                trained_on[names.get(sender, sender)] = update.sample_count
        before = after
    return ChainHistory(
        before,
        names,
        tuple(block_entry(block, names, on_chain=True) for block in chain),
        tuple(iterations),
        trained_on,
        (ended - began) / 1000 if began is not None and ended is not None else 0.0,
    )


def block_entry(block: ChainBlock, names: dict[str, str], on_chain: bool) -> Block:
    """What the report says of a block."""
    header, info = block.header, block.body.model_info
    return Block(
        hash=block.hash.hex(),
        previous_hash=header.previous_hash.hex(),
        height=header.height,
        miner=names.get(header.miner, header.miner),
        time=header.timestamp,
        transactions=dict(Counter(tx.payload.KIND for tx in block.body.transactions)),
        rule=info.rule if info is not None else None,
        on_chain=on_chain,
    )


def _iteration(
    number: int, block: ChainBlock, before: State, after: State, names: dict[str, str]
) -> Iteration:
    info = block.body.model_info
    assert info is not None
    assert before.task is not None, "a model without a task is no valid block"
    updates = _updates(block).keys()

    def named(addresses: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(names.get(address, address) for address in addresses))

    return Iteration(
        number=number,
        task=info.model_id,
        iteration=info.current_iter,
        total=info.total_iter,
        rule=info.rule,
        accuracy=info.accuracy,
        test_accuracy=None,
        contributors=named(info.contributors),
        left_out=named([a for a in updates if a not in info.contributors]),
        absent=named([a for a in before.members if a not in updates]),
        seconds=(block.header.timestamp - before.task.since) / 1000,
        parts=None,
        stakes={names.get(a, a): stake for a, stake in after.balances.items()},
        height=block.header.height,
        miner=names.get(block.header.miner, block.header.miner),
        global_cid=info.global_cid,
    )


def _updates(block: ChainBlock) -> dict[str, ModelUpdate]:
    """Address → update, of those that a block carries."""
    return {
        tx.sender: tx.payload
        for tx in block.body.transactions
        if isinstance(tx.payload, ModelUpdate)
    }
