"""The peer that is fuzzed, its consortium's history, and the oracle that watches it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import corpus
from consortium import ARCHITECTURE, START, Consortium

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.blocks import Block
from bift_ros.chain.mempool import MAX_PER_SENDER
from bift_ros.chain.model_check import compute_model
from bift_ros.chain.state import State
from bift_ros.chain.store import ChainStore
from bift_ros.chain.transactions import Transaction, Transfer, read_transaction
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    BroadcastBlock,
    BroadcastTransaction,
    Effect,
    Fetch,
    Mine,
    Put,
    Refused,
    TipChanged,
    Train,
)
from bift_ros.peer.events import Event
from bift_ros.peer.machine import Peer

# Small, so that a short script reaches the caps.
CONFIG = PeerConfig(
    allowed_architectures=(ARCHITECTURE,), maximum_waiting_blocks=8, file_cache_bytes=4_096,
    file_wait_ms=3_000, omission_grace_ms=500, request_timeout_ms=2_000,
)  # fmt: skip
MAX_REMEMBERED = 4_096
"""No container of a peer may hold more, whatever comes in."""


@dataclass
class History:
    """What honest members and one liar have signed so far."""

    world: Consortium
    states: list[State]
    transactions: list[Transaction]
    blocks: list[Block]
    signed: corpus.Signed

    @property
    def blocks_bytes(self) -> list[bytes]:
        return [block.to_bytes() for block in self.blocks]

    @property
    def transactions_bytes(self) -> list[bytes]:
        return [transaction.to_bytes() for transaction in self.transactions]


@lru_cache(maxsize=1)
def history() -> History:
    """A task, two iterations, a rival branch, and a liar's blocks and files."""
    world = Consortium(corpus.MEMBERS, difficulty=4, update_wait_ms=2_000)
    first = world.task_block(total_iter=5)
    one = world.apply(world.start, first)
    updates = world.updates(range(corpus.MEMBERS), one)
    best, rival = world.model_block(one, updates), world.model_block(one, updates[1:], miner=2)
    two = world.apply(one, best)
    gift = world.sign(1, Transfer(world.address(2), 5), two)
    third = world.block(two, [gift])
    three = world.apply(two, third)
    later = world.updates(range(1, corpus.MEMBERS), three)
    fourth = world.model_block(three, later)
    lie = world.model_block(one, updates, {"accuracy": 0.125}, miner=3)
    few = world.model_block(one, updates[2:], miner=3)
    spent = world.sign(3, Transfer(world.address(0), 500), two)
    broken = world.update(3, one, world.files[next(iter(world.files))] + b"x")
    said = [*first.body.transactions, *updates, gift, *later, spent, broken]
    blocks = [first, best, rival, third, fourth, lie, few, world.block(two, [spent], miner=3)]
    signed = corpus.Signed()
    for thing in (*said, *blocks):
        signed.add(thing)
    return History(world, [world.start, one, two, three], said, blocks, signed)


@dataclass
class Stage:
    """One fresh peer, what it asked for, and everything that may be accepted."""

    now: int = START + 1_000
    asked: list[str] = field(default_factory=list)
    training: Train | None = None
    search: Mine | None = None

    def __post_init__(self) -> None:
        self.history = history()
        self.world = self.history.world
        self.files = dict(self.world.files)
        self.signed = corpus.Signed(
            set(self.history.signed.transactions), set(self.history.signed.blocks)
        )
        self.chain = Blockchain(self.world.genesis, ChainStore(":memory:", self.world.genesis))
        self.peer = Peer(self.world.keys[0], self.world.genesis, self.chain, CONFIG)
        self._watch(self.peer.start(self.now))

    def send(self, event: Event) -> None:
        """Let the peer take one event; whatever it raises is a crash."""
        self._watch(self.peer.handle(event, self.now))

    def _watch(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch(cid, _):
                    self.asked.append(cid)
                case Put(cid, data):
                    self.files[cid] = data
                case Train():
                    self.training = effect
                case Mine():
                    self.search = effect
                case BroadcastTransaction(transaction):
                    own = self.world.address(0)
                    assert transaction.sender == own, "another member's words are sent as own"
                    read_transaction(transaction.to_bytes(), self.world.genesis)
                    self.signed.add(transaction)
                case BroadcastBlock(block):
                    assert block.header.miner == self.world.address(0)
                    self._see_block(block)
                    self.signed.add(block)
                case TipChanged(block, _, _):
                    if block.header.miner != self.world.address(0):
                        assert block.to_bytes() in self.signed.blocks, "a forged block is accepted"
                    self._see_block(block)
                case Refused(_, _, reason):
                    assert len(reason) <= 1_000, f"a reason of {len(reason)} characters"

    def _see_block(self, block: Block) -> None:
        """Nothing forged inside, and PoFL recomputes."""
        for transaction in block.body.transactions:
            assert transaction.to_bytes() in self.signed.transactions, "a forgery is in a block"
        if block.body.model_info is not None:
            parent = self.chain.state_at(block.header.previous_hash)
            made = compute_model(
                parent, self.world.genesis, block.body.transactions, self.files.__getitem__
            )
            assert made.info == block.body.model_info, "a wrong model is accepted"

    def inspect(self) -> None:
        """Look into the whole peer: no forgery waits in it, and every part is under its cap."""
        for held in _transactions_in(self.peer):
            assert held.to_bytes() in self.signed.transactions, "a forgery is in the mempool"
        assert self.peer.pending_transactions <= MAX_PER_SENDER * corpus.MEMBERS
        for path, size in sizes(self.peer).items():
            small = path.endswith(("_waiting", "_omitting"))
            cap = CONFIG.maximum_waiting_blocks if small else MAX_REMEMBERED
            assert size <= cap, f"{path} holds {size}"


def _transactions_in(peer: Peer) -> list[Transaction]:
    queues: dict[str, dict[int, Transaction]] = peer._context.mempool._queues
    return [held for queue in queues.values() for held in queue.values()]


def sizes(root: object) -> dict[str, int]:
    """The length of every container that hangs on a peer, by its path, the chain's aside."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    rooms = ("bift_ros.peer.", "bift_ros.chain.mempool")

    def visit(thing: Any, path: str) -> None:
        if id(thing) in seen:
            return
        seen.add(id(thing))
        for name, value in getattr(thing, "__dict__", {}).items():
            if isinstance(value, (dict, set, list)):
                found[f"{path}.{name}"] = len(value)
            elif type(value).__module__.startswith(rooms):
                visit(value, f"{path}.{name}")

    visit(root, "peer")
    return found
