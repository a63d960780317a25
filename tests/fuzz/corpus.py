"""Valid inputs of every kind, made by code: what the mutators start from, and the oracle.

Members sign here and nowhere else in a run, so a transaction or block that is accepted and is
not in `Signed` is a forgery.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.blocks import Block, Body, Header, ModelInfo, sign_block
from bift_ros.consensus.double_votes import double_vote
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.genesis import Genesis, Policy
from bift_ros.consensus.group_key import make_group_key
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    ShareFile,
    Transfer,
    WithdrawFile,
    commitment_of,
)
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.votes import Stage, Statement, Vote, sign_vote
from bift_ros.identity.keys import KeyPair
from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import serialize_update
from bift_ros.simulation.world import INITIAL_MODEL, SPEC
from bift_ros.storage.cid import cid_of
from bift_ros.storage.unixfs import blocks_of
from world.consortium import ARCHITECTURE, LearningConsortium

MEMBERS = 4
STRANGER = KeyPair.from_seed(hashlib.sha256(b"stranger").digest())
CID = cid_of(b"some file")
OTHER_CID = cid_of(b"another file")


@dataclass
class Signed:
    """The canonical bytes that members have signed, and nobody else's."""

    transactions: set[bytes] = field(default_factory=set)
    blocks: set[bytes] = field(default_factory=set)
    tips: set[bytes] = field(default_factory=set)

    def add(self, said: Transaction | Block | SignedTip) -> None:
        if isinstance(said, SignedTip):
            self.tips.add(said.to_bytes())
        elif isinstance(said, Block):
            self.blocks.add(said.to_bytes())
            for transaction in said.body.transactions:
                self.transactions.add(transaction.to_bytes())
        else:
            self.transactions.add(said.to_bytes())


@lru_cache(maxsize=1)
def world() -> LearningConsortium:
    return LearningConsortium(MEMBERS, difficulty=4)


def _prevote(height: int) -> Vote:
    statement = Statement(1, height, bytes(32), bytes(32), 0, world().genesis.hash)
    return sign_vote(world().keys[0], world().genesis.hash, Stage.PREVOTE, statement)


def payloads() -> list[Payload]:
    """One of every kind, and the corners of their bounds."""
    member, salt = world().address(1), bytes(range(32))
    return [
        Transfer(member, 1),
        Transfer(member, 2**63 - 1),
        ProposeTask("lights", CID, 3, "multi_krum", ARCHITECTURE, 1, 10, 0.01, "adam"),
        ProposeTask("a", CID, 1_000_000, "mixed", "a:b", 10_000, 2**20, 1e3, "sgd"),
        ModelCommit("lights", 1, CID, bytes(32), commitment_of(CID, salt, member)),
        ModelUpdate("lights", 1, CID, OTHER_CID, 0.5, 100),
        ModelUpdate("lights", 1, CID, OTHER_CID, 0.5, 100, salt),
        ModelUpdate("x" * 64, 1_000_000, CID, CID, 1.0, 2**24, b"s"),
        ShareFile("tile_17.pbf", CID, 104_857_600, "the old town"),
        ShareFile("x" * 100, CID, 2**50, "~" * 200),
        WithdrawFile("tile_17.pbf"),
        double_vote(*(_prevote(height) for height in (1, 2))),
        make_group_key(salt, bytes(32), [m.public_key for m in world().genesis.members]),
        make_group_key(salt, bytes(32), [bytes(32)], [bytes(32), salt]),
    ]


def transactions(genesis: Genesis | None = None) -> list[Transaction]:
    genesis = genesis or world().genesis
    return [
        sign_transaction(world().keys[i % MEMBERS], sequence, payload, genesis.hash)
        for i, payload in enumerate(payloads())
        for sequence in (0, 7)
    ]


def blocks() -> list[Block]:
    """With a model info and without, empty to long."""
    said = transactions()
    addresses = sorted(world().address(i) for i in range(MEMBERS))
    info = ModelInfo("lights", CID, OTHER_CID, 3, 1, addresses[0], 0.5, "krum", tuple(addresses))
    bodies = [Body(()), Body(tuple(said[:2])), Body(tuple(said)), Body(tuple(said[10:14]), info)]
    return [_block(Body(b.transactions, b.model_info), i) for i, b in enumerate(bodies)]


def _block(body: Body, member: int) -> Block:
    key = world().keys[member]
    flag = int(body.model_info is not None)
    previous = world().genesis.hash
    draft = Header(1, 1_700_000_000_000, previous, body.hash, flag, key.address, 4, 2**32)
    mined = search(draft, 2**32, 1_000_000)
    assert mined is not None
    return sign_block(key, mined, body)


def signed() -> Signed:
    known = Signed()
    for said in (*transactions(), *blocks()):
        known.add(said)
    return known


def models() -> list[bytes]:
    return [INITIAL_MODEL]


def updates() -> list[bytes]:
    import numpy as np

    values = np.arange(SPEC.size, dtype=np.int16)
    return [
        serialize_update(SPEC, values, UPDATE_EXPONENT),
        serialize_update(SPEC, -values * 800, UPDATE_EXPONENT),
        serialize_update(SPEC, values, 3),  # another task's scale
    ]


def values() -> list[bytes]:
    """Canonical DAG-CBOR of every type the chain uses."""
    samples: list[Any] = [
        [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1],
        [-1, -24, -25, -256, -257, -(2**32), -(2**64)],
        [b"", b"a" * 23, b"a" * 24, bytes(300), "", "é\U0001f697", "a" * 256],
        [True, False, None, 0.0, -0.0, 1.5, 5e-324, 1.7e308],
        [[[[1], "deep"], b"x"], []],
    ]
    return [encode(sample) for sample in samples]


def file_nodes() -> list[bytes]:
    """The inner nodes of files of 2, 3 and some dozen chunks."""
    found = []
    for size in (20, 30, 400):
        found += [bytes(b) for cid, b in blocks_of(bytes(range(10)) * (size // 10), 10)
                  if cid.codec == 0x70]  # fmt: skip
    return found


def cids() -> list[bytes]:
    texts = [CID, OTHER_CID, *(str(cid) for cid, _ in blocks_of(bytes(30), 10))]
    return [text.encode() for text in texts]


def genesis_files() -> list[bytes]:
    genesis = world().genesis
    policy = {f.name: getattr(genesis.policy, f.name) for f in fields(Policy)}
    document = {
        "name": genesis.name,
        "timestamp": genesis.timestamp,
        "members": [{"name": m.name, "public_key": m.public_key.hex()} for m in genesis.members],
        "policy": policy,
    }
    short = {**document, "members": document["members"], "policy": {}}  # type: ignore[dict-item]
    return [json.dumps(document, indent=2).encode(), json.dumps(short).encode()]
