"""A vehicle's data folder with a real chain in it: a proposal, two iterations, all their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import ModelInfo
from bift_ros.consensus.genesis import Genesis, Policy, save_genesis
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import (
    MembershipVote,
    Payload,
    ProposeTask,
    ShareFile,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.console.main import main
from bift_ros.identity.keys import KeyPair
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec, TensorSpec
from bift_ros.pofl.files import serialize_model, serialize_update
from bift_ros.simulation.consortium import Consortium
from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage

SPEC = ModelSpec((TensorSpec("bias", (3,)), TensorSpec("weight", (4, 3))))


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str


Bift = Callable[..., Result]


@pytest.fixture
def bift(capsys: pytest.CaptureFixture[str]) -> Bift:
    """Run a command in this process; argparse's own exits count like the others."""

    def run(*arguments: object) -> Result:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@dataclass(frozen=True)
class BuiltChain:
    """Where it lies and what is on it."""

    data: Path
    genesis: Genesis
    tip: str
    update_cids: tuple[tuple[str, ...], ...]
    """The updates of each model block; the first is block 2."""


class _Maker(Consortium):
    def __init__(self, data: Path) -> None:
        policy = Policy(difficulty=4, mode="paper")
        super().__init__(3, policy, member="vehicle_{:02d}", secret="{}")
        self.state: State = self.start
        data.mkdir(parents=True)
        save_genesis(data.parent / "genesis.json", self.genesis)
        self.store = ChainStore(data / "chain.sqlite", self.genesis)

    def say(self, member: int, payload: Payload) -> Transaction:
        return self.sign(member, payload, self.state)

    def accept(self, transactions: Sequence[Transaction], info: ModelInfo | None = None) -> None:
        block = self.block(self.state, transactions, info)
        self.state = state_transition(self.state, self.genesis, block, block.header.timestamp)
        self.store.accept(block, block.hash)


@pytest.fixture
def built_chain(tmp_path: Path) -> BuiltChain:
    data = tmp_path / "vehicles" / "vehicle_00"
    maker = _Maker(data)
    noise = np.random.default_rng(1)
    cids = []
    with closing(maker.store), EmbeddedStorage(data / "storage") as files:
        base = noise.integers(-(2**18), 2**18, SPEC.size, dtype=np.int32)
        init = files.put(serialize_model(SPEC, base, 20))
        task = ProposeTask("lights", init, 2, "multi_krum", "a:b", 1, 10, 0.01, "sgd")
        maker.accept([maker.say(0, task)])
        for _ in range(2):
            updates = []
            for member in range(3):
                values = noise.integers(-50, 50, SPEC.size, dtype=np.int16)
                cid = files.put(serialize_update(SPEC, values, UPDATE_EXPONENT))
                accuracy = 0.5 + member / 100
                updates.append(
                    maker.announce(member, maker.state, cid=cid, accuracy=accuracy, sample_count=10)
                )
            info, model, *_ = compute_model(maker.state, maker.genesis, updates, files.get)
            assert files.put(model) == info.global_cid
            maker.accept(updates, info)
            cids.append(tuple(update.payload.cid for update in updates))
    return BuiltChain(data, maker.genesis, maker.state.tip_hash.hex(), tuple(cids))


@pytest.fixture
def voting_chain(tmp_path: Path) -> BuiltChain:
    """Two of three members have voted the bus in, and one of them for vehicle_02 to leave."""
    data = tmp_path / "vehicles" / "vehicle_00"
    maker = _Maker(data)
    bus, third = KeyPair.from_seed(bytes(32)), maker.keys[2]
    with closing(maker.store):
        for voter, vote in (
            (0, MembershipVote("join", "bus", bus.public_key)),
            (1, MembershipVote("join", "bus", bus.public_key)),
            (1, MembershipVote("leave", "vehicle_02", third.public_key)),
        ):
            maker.accept([maker.say(voter, vote)])
    return BuiltChain(data, maker.genesis, maker.state.tip_hash.hex(), ())


@pytest.fixture
def forked_chain(tmp_path: Path) -> BuiltChain:
    """Two blocks, and on the first another that vehicle_02 has made twice, which is proven.

    Beside it vehicle_01 lies, whose chain ends in vehicle_02's block.
    """
    data = tmp_path / "vehicles" / "vehicle_00"
    maker = _Maker(data)
    bus = KeyPair.from_seed(bytes(32))
    with closing(maker.store):
        maker.accept([maker.say(0, MembershipVote("join", "bus", bus.public_key))])
        fork = maker.state
        (first,) = maker.store.canonical(1, 1)
        vote = maker.say(1, MembershipVote("join", "bus", bus.public_key))
        other, again = (maker.block(fork, votes, miner=2) for votes in ([], [vote]))
        maker.accept([vote])
        maker.store.add(other)
        maker.store.add_evidence(*(b.signed_header.to_bytes() for b in (other, again)))
    with closing(ChainStore(data.with_name("vehicle_01") / "chain.sqlite", maker.genesis)) as store:
        store.accept(first, first.hash)
        store.accept(other, other.hash)
    return BuiltChain(data, maker.genesis, maker.state.tip_hash.hex(), ())


@pytest.fixture
def sharing_chain(tmp_path: Path) -> BuiltChain:
    """Two members share a file each; nobody has them."""
    data = tmp_path / "vehicles" / "vehicle_00"
    maker = _Maker(data)
    with closing(maker.store):
        shares = [
            ShareFile("tile.pbf", cid_of(b"tile"), 104_857_600, "the old town"),
            ShareFile("road", cid_of(b"road"), 5, "[/] no markup :car:"),
        ]
        maker.accept([maker.say(member, share) for member, share in enumerate(shares)])
    return BuiltChain(data, maker.genesis, maker.state.tip_hash.hex(), ())
