"""Junk without end leaves memory bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bift_ros.consensus.payloads import ModelUpdate, Transfer, WithdrawFile
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Refused, RequestHeaders
from bift_ros.peer.events import TipReceived
from bift_ros.peer.files import Fetches, FileCache
from bift_ros.storage.cid import cid_of
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

CHECKER = PeerConfig(mine=False, train=False)


def sizes(root: object) -> dict[str, int]:
    """The length of every container that hangs on a peer, by its path."""
    found: dict[str, int] = {}
    seen: set[int] = set()

    def visit(thing: Any, path: str) -> None:
        if id(thing) in seen or not type(thing).__module__.startswith("bift_ros."):
            return
        seen.add(id(thing))
        for name, value in getattr(thing, "__dict__", {}).items():
            if isinstance(value, (dict, set, list)):
                found[f"{path}.{name}"] = len(value)
            else:
                visit(value, f"{path}.{name}")

    visit(root, "peer")
    return found


def test_the_measure_sees_every_part() -> None:
    names = {path.split(".")[-1] for path in sizes(PeerDriver(LearningConsortium(2), 0).peer)}
    assert {"_waiting", "_disputed", "_invalid", "_wanted", "_files", "_sources", "providers",
            "_refused", "_inspected", "_own", "_queues", "_rounds", "_tips"} <= names  # fmt: skip


def test_thousands_of_junk_messages_are_bounded() -> None:
    world = LearningConsortium(4, difficulty=0)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    state = peer.state
    good = world.updates([0, 1], state)
    honest = world.model_block(state, good)
    stranger = KeyPair.from_seed(bytes(32))
    for i in range(800):
        name = i.to_bytes(32, "big")
        nowhere = replace(state, tip_hash=name)
        alone = world.sign(3, Transfer(world.address(0), 1), state, ahead=i % 40)
        lost = world.sign(3, replace(good[0].payload, cid=cid_of(name)), state)  # type: ignore[type-var]
        assert isinstance(lost.payload, ModelUpdate)
        match i % 8:
            case 0:  # an orphan
                peer.block(world.block(nowhere, [alone], miner=3))
            case 1:  # a block whose update nobody has
                info = honest.body.model_info
                assert info is not None
                peer.block(world.block(state, [*good, lost], info, miner=3, later=100 + i))
            case 2:  # an empty block
                peer.block(world.block(state, miner=3, later=100 + i))
            case 3:  # a wrong model
                peer.block(world.model_block(state, good, {"accuracy": i / 5_000}, miner=3))
            case 4:
                peer.transaction(alone, lost)
            case 5:
                foreign = Transfer(world.address(0), i)
                peer.transaction(sign_transaction(stranger, i, foreign, world.genesis.hash))
            case 6:
                peer.send(world.tip(3, i, name, i, f"memory://{i}", stamp=i))
            case 7:
                true = world.tip(3, i, name, i, f"memory://{i}", stamp=i).tip
                peer.send(TipReceived(replace(true, sender=name.hex()[:40])))
    for path, size in sizes(peer.peer).items():
        limit = 128 if path.endswith(("_waiting", "_disputed")) else 4096
        assert size <= limit, path
    assert len(of(Refused, (e for _, e in peer.log))) > 200
    assert len(of(RequestHeaders, (e for _, e in peer.log))) < 200
    assert sizes(peer.peer)["peer._context.providers"] <= 3

    # And the peer still works.
    peer.wait(60_000)
    best = world.model_block(state, world.updates(range(3), state), later=99)
    peer.block(best)
    assert peer.state.tip_hash == best.hash


def test_the_cache_drops_what_nobody_needs_first() -> None:
    cache = FileCache(10)
    for name in "abcd":
        cache.add(name, b"1234")
    assert cache["b"] == b"1234"
    cache.trim(needed={"a"})
    assert [name for name in "abcd" if name in cache] == ["a", "b"]
    cache.trim(needed=())
    assert "a" in cache


def test_wanted_files_and_their_providers_are_bounded() -> None:
    fetches = Fetches(1_000)
    fetch = fetches.want("file", [f"memory://{i}" for i in range(200)], 1, 0)
    assert fetch is not None
    assert len(fetch.providers) == 64
    assert fetch.providers[0] == "memory://0"
    asked = [fetches.want(f"file {i}", [], 1, 0) for i in range(5_000)]
    assert sum(f is not None for f in asked) == 4_095
    fetches.failed("file 7", 0)
    assert fetches.want("one more", [], 1, 0) is not None
    assert fetches.want("and another", [], 1, 0) is None


def test_one_members_orphans_drive_out_no_other_members_block() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    block = world.model_block(peer.state, world.updates([0, 1, 2], peer.state), miner=1)
    peer.hidden = set(block.body.update_cids)
    peer.block(block)
    orphans = (
        world.block(
            replace(peer.state, tip_hash=bytes([n] * 32)),
            [world.sign(2, WithdrawFile("x"), peer.state)],
            miner=2,
        )
        for n in range(140)
    )
    peer.block(*orphans)
    assert peer.peer.waiting_blocks == CHECKER.maximum_waiting_blocks
    peer.hidden = set()
    peer.wait(3_000)
    assert peer.state.tip_hash == block.hash
