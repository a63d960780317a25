"""What is fuzzed: each decoder as one function from untrusted bytes, with what must hold after.

`Target.run` returns whether the input was accepted. It lets the decoder's declared exceptions
pass as refusals; any other exception is a crash, and a broken promise an AssertionError.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from bift_ros.admission.exceptions import NotAdmitted
from bift_ros.consensus.authorship import read_block
from bift_ros.consensus.blocks import Block, Header, SignedHeader
from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.exceptions import (
    BadBlockSignature,
    BadSignature,
    BlockTooLarge,
    BodyMismatch,
    EncodingError,
    FieldError,
    GenesisError,
    MalformedBlock,
    MalformedTransaction,
    MissingWork,
    UnknownMiner,
    UnknownSender,
)
from bift_ros.consensus.genesis import load_genesis, save_genesis
from bift_ros.consensus.transactions import Transaction, check_signature
from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import (
    ModelFileError,
    parse_model,
    parse_update,
    serialize_model,
    serialize_update,
)
from bift_ros.simulation.world import SPEC
from bift_ros.storage.cidv1 import Cid, CidError
from bift_ros.storage.dagpb import InvalidFile, decode_node, encode_node
from fuzz import arrivals, corpus, mutators, peer_target, tree_target
from world.consortium import LearningConsortium

MAX_REASON = 1_000
"""Characters of a refusal: reasons are logged and sent to the operator."""


@dataclass(frozen=True)
class Target:
    name: str
    check: Callable[[bytes], None]
    """Decodes the bytes and holds what came out against what is promised."""
    refusals: tuple[type[Exception], ...]
    """What the decoder may raise."""
    seeds: Callable[[], list[bytes]]
    make: Callable[[Random], bytes]
    """A new input."""
    mutate: Callable[[Random, bytes], bytes]
    """Change an input, for atheris."""
    share: float
    """Of a campaign's inputs."""

    def run(self, data: bytes) -> bool:
        try:
            self.check(data)
        except self.refusals as error:
            reason = str(error)
        else:
            return True
        assert len(reason) <= MAX_REASON, f"a reason of {len(reason)} characters"
        return False


def _encoding(data: bytes) -> None:
    assert encode(decode(data)) == data


def _transaction(data: bytes) -> None:
    assert Transaction.from_bytes(data).to_bytes() == data


def _block(data: bytes) -> None:
    assert Block.from_bytes(data).to_bytes() == data


def _signed_header(data: bytes) -> None:
    assert SignedHeader.from_bytes(data).to_bytes() == data


def _header(data: bytes) -> None:
    assert Header.from_bytes(data).to_bytes() == data


@lru_cache(maxsize=1)
def _signed() -> corpus.Signed:
    return corpus.signed()


def _signed_transaction(data: bytes) -> None:
    genesis = corpus.world().genesis
    accepted = Transaction.from_bytes(data)
    check_signature(accepted, genesis, genesis.by_address)
    assert accepted.to_bytes() == data
    assert data in _signed().transactions, "a forged transaction is accepted"


def _signed_block(data: bytes) -> None:
    accepted = read_block(data, corpus.world().genesis)
    assert accepted.to_bytes() == data
    assert data in _signed().blocks, "a forged block is accepted"


def _model(data: bytes) -> None:
    assert serialize_model(*parse_model(data)) == data


def _update(data: bytes) -> None:
    update = parse_update(data, SPEC, UPDATE_EXPONENT)
    assert serialize_update(SPEC, update, UPDATE_EXPONENT) == data


def _cid(data: bytes) -> None:
    if len(data) == 36:
        assert Cid.from_bytes(data).to_bytes() == data
    text = data.decode("utf-8", "surrogateescape")
    assert str(Cid.parse(text)) == text


def _node(data: bytes) -> None:
    assert encode_node(decode_node(data)) == data


@lru_cache(maxsize=1)
def _genesis_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bift-fuzz-")


def _genesis(data: bytes) -> None:
    path = Path(_genesis_folder().name, "genesis.json")
    path.write_bytes(data)
    genesis = load_genesis(path)
    save_genesis(path, genesis)
    assert load_genesis(path).hash == genesis.hash


def _target(
    name: str,
    check: Callable[[bytes], None],
    refusals: tuple[type[Exception], ...],
    seeds: Callable[[], list[bytes]],
    share: float,
    *changes: Callable[[Random, bytes], bytes],
    text: bool = False,
) -> Target:
    """A target whose inputs are also made by `changes`, one input in five by each."""

    @lru_cache(maxsize=1)
    def mutator() -> mutators.Mutator:
        return mutators.text_mutator(seeds()) if text else mutators.Mutator(seeds())

    def make(rng: Random) -> bytes:
        for change in changes:
            if rng.random() < 0.2:
                return change(rng, rng.choice(mutator().seeds))
        return mutator().make(rng)

    def mutate(rng: Random, data: bytes) -> bytes:
        return mutator().mutate(rng, data)

    return Target(name, check, refusals, seeds, make, mutate, share)


def _bytes_of(
    things: Callable[[], Sequence[Transaction | Block | SignedHeader]],
) -> Callable[[], list[bytes]]:
    return lambda: [thing.to_bytes() for thing in things()]


@lru_cache(maxsize=1)
def _foreign_genesis() -> bytes:
    return LearningConsortium(corpus.MEMBERS + 1).genesis.hash


def _forge(rng: Random, data: bytes) -> bytes:
    return mutators.forge_transaction(rng, data, corpus.world().genesis.hash, _foreign_genesis())


_TX = _bytes_of(corpus.transactions)
_BLOCKS = _bytes_of(corpus.blocks)
_HEADERS = _bytes_of(lambda: [block.signed_header for block in corpus.blocks()])
_AUTHORSHIP = (
    MalformedBlock, BlockTooLarge, MissingWork, UnknownMiner, BadBlockSignature, BodyMismatch,
)  # fmt: skip

TARGETS = {
    t.name: t
    for t in (
        _target("encoding", _encoding, (EncodingError,), corpus.values, 0.36),
        _target("transaction", _transaction, (MalformedTransaction,), _TX, 0.16),
        _target(
            "signed_transaction", _signed_transaction,
            (MalformedTransaction, UnknownSender, BadSignature), _TX, 0.012, _forge,
        ),
        _target("block", _block, (MalformedBlock, BlockTooLarge), _BLOCKS, 0.03),
        _target("signed_block", _signed_block, _AUTHORSHIP, _BLOCKS, 0.012),
        _target("signed_header", _signed_header, (MalformedBlock,), _HEADERS, 0.03),
        _target(
            "header", _header, (EncodingError, FieldError),
            lambda: [b.header.to_bytes() for b in corpus.blocks()], 0.14,
        ),
        _target(
            "model", _model, (ModelFileError,), corpus.models, 0.04,
            mutators.change_header, text=True,
        ),
        _target(
            "update", _update, (ModelFileError,), corpus.updates, 0.04,
            mutators.change_header, text=True,
        ),
        _target("cid", _cid, (CidError,), corpus.cids, 0.13, text=True),
        _target("node", _node, (InvalidFile,), corpus.file_nodes, 0.02),
        _target(
            "genesis", _genesis, (GenesisError,), corpus.genesis_files, 0.007,
            mutators.change_json, text=True,
        ),
        Target(
            "arrival", arrivals.check, (NotAdmitted,), arrivals.inputs, arrivals.make,
            arrivals.mutate, 0.5,
        ),
        Target(
            "tree", tree_target.check, (InvalidFile,), tree_target.seeds, tree_target.make,
            mutators.flip, 0.004,
        ),
        Target(
            "peer", peer_target.check, (), peer_target.seeds, peer_target.make,
            peer_target.mutate, 0.015,
        ),
    )
}  # fmt: skip
"""By name. A peer's or vehicle's input is a script of events, each counted as an input."""
_SCRIPTS = {"peer": peer_target.events_in}

if all(importlib.util.find_spec(name) for name in ("rclpy", "bift_msgs")):
    from fuzz import vehicle_target

    _SCRIPTS["vehicle"] = vehicle_target.events_in
    TARGETS["vehicle"] = Target(
        "vehicle", vehicle_target.check, (), vehicle_target.seeds, vehicle_target.make,
        vehicle_target.mutate, 0.1,
    )  # fmt: skip


def inputs_in(target: Target, data: bytes) -> int:
    """How many inputs these bytes stand for."""
    return _SCRIPTS[target.name](data) if target.name in _SCRIPTS else 1
