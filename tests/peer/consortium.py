"""Members with real keys, a small real model, and blocks made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, ModelInfo, sign_block
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import (
    Learning,
    ModelUpdate,
    Payload,
    ProposeTask,
)
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.transition import apply_body
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Fetch, Put
from bift_ros.peer.events import (
    BlockReceived,
    Event,
    FetchFailed,
    FileFetched,
    Tick,
    TipReceived,
    TransactionReceived,
)
from bift_ros.peer.machine import Peer
from bift_ros.pofl.codec import (
    MODEL_EXPONENT,
    UPDATE_EXPONENT,
    ModelSpec,
    TensorSpec,
    decode_model,
    encode_model,
    encode_update,
)
from bift_ros.pofl.files import parse_model, serialize_model, serialize_update
from bift_ros.storage.cid import cid_of

START = 1_700_000_000_000
SPEC = ModelSpec((TensorSpec("bias", (8,)), TensorSpec("weight", (4, 8))))
DEFAULTS = PeerConfig()
ARCHITECTURE = DEFAULTS.allowed_architectures[0]
INITIAL_MODEL = serialize_model(SPEC, encode_model(np.linspace(-1, 1, SPEC.size)), MODEL_EXPONENT)


def train(model_file: bytes, member: int, iteration: int) -> bytes:
    """A vehicle's update of 40 parameters: the same for the same vehicle and iteration."""
    spec, model, exponent = parse_model(model_file)
    noise = np.random.default_rng([member, iteration]).normal(0.1, 0.02, spec.size)
    update = encode_update(decode_model(model, exponent) + noise, model, UPDATE_EXPONENT, exponent)
    return serialize_update(spec, update, UPDATE_EXPONENT)


class Consortium:
    """The keys, the genesis and every file there is. Holds no chain."""

    def __init__(self, size: int = 5, **policy: Any) -> None:
        defaults: dict[str, Any] = {
            "difficulty": 4,
            "update_wait_ms": 10_000,
            "mode": "paper",
            "plain_interval_ms": 0,
        }
        policy = defaults | policy
        self.keys = [
            KeyPair.from_seed(hashlib.sha256(f"vehicle {i}".encode()).digest()) for i in range(size)
        ]
        members = (Member(f"vehicle{i}", key.public_key) for i, key in enumerate(self.keys))
        self.genesis = Genesis("test", START, tuple(members), Policy(**policy))
        self.start = initial_state(self.genesis)
        self.files: dict[str, bytes] = {}
        self.put(INITIAL_MODEL)

    def put(self, data: bytes) -> str:
        cid = cid_of(data)
        self.files[cid] = data
        return cid

    def address(self, member: int) -> str:
        return self.keys[member].address

    def sign(
        self, member: int, payload: Payload, state: State | None = None, ahead: int = 0
    ) -> Transaction:
        """A transaction with the member's next sequence number in `state`, or one `ahead`."""
        sequence = (state or self.start).sequences[self.address(member)] + ahead
        if isinstance(payload, Learning):
            sequence = payload.iteration
        return sign_transaction(self.keys[member], sequence, payload, self.genesis.hash)

    def tip(
        self, member: int, height: int, tip_hash: bytes, weight: int, url: str = "", stamp: int = 1
    ) -> TipReceived:
        """What a member says of where it stands."""
        signed = sign_tip(
            self.keys[member],
            self.genesis.hash,
            height=height,
            tip_hash=tip_hash,
            learning_weight=weight,
            provider=url,
            stamp=stamp,
        )
        return TipReceived(signed)

    def proposal(self, total_iter: int = 3, **changes: Any) -> ProposeTask:
        proposal = ProposeTask(
            "lights",
            cid_of(INITIAL_MODEL),
            total_iter,
            "multi_krum",
            ARCHITECTURE,
            local_epochs=1,
            batch_size=10,
            learning_rate=0.01,
            optimizer="adam",
        )
        return replace(proposal, **changes)

    def update(
        self, member: int, state: State, data: bytes | None = None, **changes: Any
    ) -> Transaction:
        """The member's update for the iteration that is going on, or `data` in its place."""
        task = state.task
        assert task is not None
        if data is None:
            data = train(self.files[task.global_cid], member, task.current_iter + 1)
        payload = ModelUpdate(
            task.model_id,
            task.current_iter + 1,
            task.global_cid,
            self.put(data),
            accuracy=0.5 + member / 100,
            sample_count=100 + member,
        )
        return self.sign(member, replace(payload, **changes), state)

    def updates(self, members: Iterable[int], state: State) -> list[Transaction]:
        return [self.update(member, state) for member in members]

    def block(
        self,
        state: State,
        transactions: Sequence[Transaction] = (),
        info: ModelInfo | None = None,
        *,
        miner: int = 1,
        later: int = 100,
        **header: Any,
    ) -> Block:
        """A mined and signed block on `state`, stamped `later` ms after it."""
        body = Body(tuple(transactions), info)
        draft = Header(
            state.height + 1,
            state.timestamp + later,
            state.tip_hash,
            body.hash,
            int(info is not None),
            self.address(miner),
            self.genesis.policy.difficulty,
            MIN_NONCE,
        )
        mined = search(replace(draft, **header), MIN_NONCE, 1_000_000)
        assert mined is not None
        return sign_block(self.keys[miner], mined, body)

    def model_block(
        self,
        state: State,
        updates: Sequence[Transaction],
        lie: dict[str, Any] | None = None,
        **how: Any,
    ) -> Block:
        """A block that aggregates `updates`; `lie` replaces fields of its model info."""
        info, model, *_ = compute_model(state, self.genesis, updates, self.files.__getitem__)
        self.put(model)
        return self.block(state, updates, replace(info, **lie or {}), **how)

    def apply(self, state: State, *blocks: Block) -> State:
        for block in blocks:
            state = apply_body(state, self.genesis, block)
        return state

    def task_block(self, **changes: Any) -> Block:
        """Block 1: member 0 proposes a task."""
        return self.block(self.start, [self.sign(0, self.proposal(**changes))])


class Bench:
    """One peer driven by hand. It fetches from the consortium's files, except `hidden` CIDs."""

    def __init__(
        self,
        world: Consortium,
        member: int = 0,
        config: PeerConfig = DEFAULTS,
        chain: Blockchain | None = None,
    ) -> None:
        self.world = world
        self.now = START + 1_000
        self.hidden: set[str] = set()
        self.log: list[tuple[int, Effect]] = []
        self.chain = chain or Blockchain(world.genesis, ChainStore(":memory:", world.genesis))
        self.peer = Peer(world.keys[member], world.genesis, self.chain, config)
        self._record(self.peer.start(self.now))

    @property
    def state(self) -> State:
        return self.peer.state

    def send(self, *events: Event) -> list[Effect]:
        """Let the peer take the events, and fetches answer at once; the effects of all that."""
        before = len(self.log)
        waiting = list(events)
        while waiting:
            effects = self.peer.handle(waiting.pop(0), self.now)
            self._record(effects)
            for effect in effects:
                if isinstance(effect, Put):
                    self.world.files[effect.cid] = effect.data
                elif isinstance(effect, Fetch):
                    waiting.append(self._fetched(effect.cid))
        return [effect for _, effect in self.log[before:]]

    def block(self, *blocks: Block) -> list[Effect]:
        return self.send(*(BlockReceived(block, "") for block in blocks))

    def transaction(self, *transactions: Transaction) -> list[Effect]:
        return self.send(*(TransactionReceived(tx, "") for tx in transactions))

    def wait(self, ms: int, step: int = 250) -> list[Effect]:
        """Let virtual time pass in ticks; the effects meanwhile."""
        before = len(self.log)
        end = self.now + ms
        while self.now < end:
            self.now = min(end, self.now + step)
            self.send(Tick())
        return [effect for _, effect in self.log[before:]]

    def _fetched(self, cid: str) -> Event:
        if cid in self.world.files and cid not in self.hidden:
            return FileFetched(cid, self.world.files[cid])
        return FetchFailed(cid, "nobody has it")

    def _record(self, effects: Iterable[Effect]) -> None:
        self.log.extend((self.now, effect) for effect in effects)


def of(kind: type, effects: Iterable[Effect]) -> list[Any]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
