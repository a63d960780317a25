"""The peer that is fuzzed, its consortium's history, and the oracle that watches it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from bift_ros.admission.exceptions import NotAdmitted
from bift_ros.admission.gate import Gate
from bift_ros.admission.known import MAXIMUM_KNOWN
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.mempool import MAX_PER_SENDER
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import (
    Transfer,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction, check_signature
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    BroadcastBlock,
    BroadcastTransaction,
    Effect,
    Fetch,
    Mine,
    Put,
    Refused,
    RequestBlocks,
    RequestHeaders,
    TipChanged,
    Train,
)
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived
from bift_ros.peer.machine import Peer
from bift_ros.simulation.consortium import START_MS
from fuzz import arrivals, corpus
from fuzz.mutators import Mutator
from world.consortium import ARCHITECTURE, LearningConsortium

# Small, so that a short script reaches the caps.
CONFIG = PeerConfig(
    allowed_architectures=(ARCHITECTURE,), maximum_waiting_blocks=8, file_cache_bytes=4_096,
    file_wait_ms=3_000, omission_grace_ms=500, request_timeout_ms=2_000,
)  # fmt: skip
TICK_MS = 100
"""From one message to the next, by the clock that only goes forward."""
MAX_REMEMBERED = 8_192
"""No container of a peer may hold more, whatever comes in."""


@dataclass
class History:
    """What honest members and one liar have signed so far."""

    world: LearningConsortium
    transactions: list[Transaction]
    blocks: list[Block]
    signed: corpus.Signed

    @cached_property
    def block_mutator(self) -> Mutator:
        return Mutator([block.to_bytes() for block in self.blocks])

    @cached_property
    def header_mutator(self) -> Mutator:
        return Mutator([block.signed_header.to_bytes() for block in self.blocks])

    @cached_property
    def transaction_mutator(self) -> Mutator:
        return Mutator([transaction.to_bytes() for transaction in self.transactions])

    @cached_property
    def tip_mutator(self) -> Mutator:
        return arrivals.mutator("tip")

    @cached_property
    def update_mutator(self) -> Mutator:
        return Mutator(corpus.updates())


@lru_cache
def history(mode: str) -> History:
    """A task, two iterations, a rival branch, and a liar's blocks and files."""
    world = LearningConsortium(corpus.MEMBERS, difficulty=4, update_wait_ms=2_000, mode=mode)
    first = world.task_block(total_iter=5)
    one, sealed = _commits(world, world.apply(world.start, first), range(corpus.MEMBERS))
    updates = _updates(world, one, range(corpus.MEMBERS))
    best, rival = world.model_block(one, updates), world.model_block(one, updates[1:], miner=2)
    two = world.apply(one, best)
    gift = world.sign(1, Transfer(world.address(2), 5), two)
    third = world.block(two, [gift])
    three = world.apply(two, third)
    three, sealed_later = _commits(world, three, range(1, corpus.MEMBERS))
    later = _updates(world, three, range(1, corpus.MEMBERS))
    fourth = world.model_block(three, later)
    lie = world.model_block(one, updates, {"accuracy": 0.125}, miner=3)
    few = world.model_block(one, updates[2:], miner=3)
    spent = world.sign(3, Transfer(world.address(0), 500), two)
    broken = world.update(3, one, world.files[next(iter(world.files))] + b"x")
    said = [*first.body.transactions, *updates, gift, *later, spent, broken]
    wrong = [rival, lie, few, world.block(two, [spent], miner=3)]
    blocks = [first, *sealed, best, third, *sealed_later, fourth, *wrong]
    said += [said for block in (*sealed, *sealed_later) for said in block.body.transactions]
    signed = corpus.Signed()
    for thing in (*said, *blocks):
        signed.add(thing)
    return History(world, said, blocks, signed)


def _updates(world: LearningConsortium, state: State, members: Iterable[int]) -> list[Transaction]:
    return [world.update(m, state, salt=_salt(world, m)) for m in members]


def _commits(
    world: LearningConsortium, state: State, members: Iterable[int]
) -> tuple[State, list[Block]]:
    """The block with the members' commitments where the mode asks for one; the state then."""
    if not world.genesis.policy.commit_reveal:
        return state, []
    said = [
        world.commit(m, state, u)
        for m, u in zip(members, _updates(world, state, members), strict=True)
    ]
    block = world.block(state, said)
    return world.apply(state, block), [block]


def _salt(world: LearningConsortium, member: int) -> bytes:
    return bytes([member] * 16) if world.genesis.policy.commit_reveal else b""


@dataclass
class Stage:
    """One fresh peer, what it asked for, and everything that may be accepted."""

    mode: str
    now: int = START_MS + 1_000
    ticks: int = 0
    asked: list[str] = field(default_factory=list)
    training: Train | None = None
    search: Mine | None = None
    headers_asked: RequestHeaders | None = None
    blocks_asked: RequestBlocks | None = None
    sealed: dict[tuple[int, str], bytes] = field(default_factory=dict)
    """The file that a member has committed to, by member and base CID."""

    def __post_init__(self) -> None:
        self.history = history(self.mode)
        self.world = self.history.world
        self.files = dict(self.world.files)
        self.signed = corpus.Signed(
            set(self.history.signed.transactions), set(self.history.signed.blocks)
        )
        self.chain = Blockchain(self.world.genesis, ChainStore(":memory:", self.world.genesis))
        self.peer = Peer(self.world.keys[0], self.world.genesis, self.chain, CONFIG)
        self.gate = Gate(
            self.world.genesis,
            self.world.address(0),
            self.chain.known_members,
            self.chain.store.has,
            self.peer.state,
        )
        self._watch(self.peer.start(Time(self.now, self.now)))

    def send(self, event: Event) -> None:
        """Let the peer take one event; whatever it raises is a crash."""
        self._watch(self.peer.handle(event, Time(self.now, self.now)))

    def arrive(self, topic: str, said: bytes, message: bytes | None = None) -> None:
        """Let what a topic carries come in as a vehicle does; `message` is CDR, made of `said`."""
        self.ticks += 1
        self.gate.state = self.peer.state
        message = arrivals.in_cdr(said) if message is None else message
        try:
            found = getattr(self.gate, topic)(message, self.ticks * TICK_MS)
        except NotAdmitted as error:
            found = None
            self._see_reason(error.reason)
        if found is not None:
            event, known = {
                "transaction": (TransactionReceived, self.signed.transactions),
                "block": (BlockReceived, self.signed.blocks),
                "tip": (TipReceived, self.signed.tips),
            }[topic]
            assert found.to_bytes() in known, f"a forged {topic} is let in"
            self.send(event(found))

    def _watch(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Fetch(cid, _):
                    self.asked.append(cid)
                case Put(cid, data):
                    self.files[cid] = data
                case Train():
                    self.training = effect
                case RequestHeaders():
                    self.headers_asked = effect
                case RequestBlocks():
                    self.blocks_asked = effect
                case Mine():
                    self.search = effect
                case BroadcastTransaction(transaction):
                    own = self.world.address(0)
                    assert transaction.sender == own, "another member's words are sent as own"
                    genesis = self.world.genesis
                    check_signature(transaction, genesis, genesis.by_address)
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
                    self._see_reason(reason)

    @staticmethod
    def _see_reason(reason: str) -> None:
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
        for held in transactions_in(self.peer):
            assert held.to_bytes() in self.signed.transactions, "a forgery is in the mempool"
        assert self.peer.pending_transactions <= MAX_PER_SENDER * corpus.MEMBERS
        for path, size in sizes(self.peer).items():
            small = path.endswith(("_waiting", "_disputed"))
            cap = CONFIG.maximum_waiting_blocks if small else MAX_REMEMBERED
            assert size <= cap, f"{path} holds {size}"
        assert len(self.gate._known._until) <= MAXIMUM_KNOWN


def transactions_in(peer: Peer) -> list[Transaction]:
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
