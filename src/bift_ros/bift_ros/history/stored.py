"""A stored chain, replayed: what its blocks alone do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bift_ros.chain.store import ChainStore
from bift_ros.chain.verification import blocks_of, lowest_state, names_on, states
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.state import State


@dataclass(frozen=True)
class Replay:
    """A chain from its lowest block to its tip."""

    state: State
    """After the tip."""
    names: Mapping[str, str]
    """Address → name."""
    iterations: tuple[tuple[State, State], ...]
    """The states before and after each block that ended an iteration."""

    def name(self, address: str) -> str:
        """What people call the owner of an address."""
        return self.names.get(address, address)


def replay(genesis: Genesis, store: ChainStore) -> Replay:
    """Replay a chain by every rule but PoFL. Raises ChainError."""
    blocks, base = list(blocks_of(store)), lowest_state(genesis, store)
    before, iterations = base, []
    for block, after in zip(blocks, states(base, genesis, blocks), strict=True):
        if block.body.model_info is not None:
            iterations.append((before, after))
        before = after
    return Replay(before, names_on(genesis, blocks, base.members.values()), tuple(iterations))
