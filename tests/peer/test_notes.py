"""What a training gives back, and what the store gives back after a restart, is checked first."""

from __future__ import annotations

from typing import Any

import pytest

from bift_ros.consensus.encoding import encode
from bift_ros.consensus.payloads import MAX_SAMPLES
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import BroadcastTransaction, Refused, Train
from bift_ros.peer.events import DatasetChanged, Trained
from bift_ros.storage.cid import cid_of
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

CONFIG = PeerConfig(mine=False)
CID = cid_of(b"an update")


def trainer(world: LearningConsortium) -> tuple[PeerDriver, Train]:
    """Member 1, who has begun to train for iteration 1."""
    peer = PeerDriver(world, 1, CONFIG)
    peer.send(DatasetChanged(100))
    (start,) = of(Train, peer.block(world.task_block()))
    return peer, start


def restarted(peer: PeerDriver) -> PeerDriver:
    again = PeerDriver(peer.world, 1, CONFIG, chain=peer.chain)
    again.now = peer.now
    return again


@pytest.mark.parametrize(
    ("cid", "accuracy", "samples", "said"),
    [
        ("x", 0.5, 100, "cid"),
        ("", 0.5, 100, "cid"),
        (CID, 2.0, 100, "accuracy"),
        (CID, -0.5, 100, "accuracy"),
        (CID, float("nan"), 100, "accuracy"),
        (CID, 0.5, 0, "sample_count"),
        (CID, 0.5, MAX_SAMPLES + 1, "sample_count"),
    ],
)
def test_a_result_that_makes_no_update_is_a_failed_training(
    cid: str, accuracy: float, samples: int, said: str
) -> None:
    peer, start = trainer(LearningConsortium(4))
    effects = peer.send(Trained(start.request, cid, accuracy, samples))
    (refused,) = of(Refused, effects)
    assert refused.what == "training"
    assert said in refused.reason
    assert of(BroadcastTransaction, effects) == []
    assert len(of(Train, peer.wait(30_000))) == 1  # tried again
    assert peer.chain.store.note("training") is None
    # Nothing of it is met again: the restarted vehicle trains anew.
    assert len(of(Train, restarted(peer).send(DatasetChanged(100)))) == 1


def test_a_result_is_published_after_a_restart() -> None:
    peer, start = trainer(LearningConsortium(4))
    (sent,) = of(BroadcastTransaction, peer.send(Trained(start.request, CID, 0.5, 100)))
    again = of(BroadcastTransaction, restarted(peer).send(DatasetChanged(100)))
    assert [e.transaction for e in again] == [sent.transaction]


def training_note(peer: PeerDriver, *result: Any) -> bytes:
    task = peer.state.task
    assert task is not None
    return encode([task.model_id, 1, task.global_cid, *result])


@pytest.mark.parametrize(
    "result", [("x", 0.5, 100), (CID, 2.0, 100), (CID, 0.5, -1), (CID, "0.5", 100), (CID,), ()]
)
def test_a_training_that_cannot_be_used_is_put_aside(result: tuple[Any, ...]) -> None:
    """As an older version noted it, which ended at every start."""
    peer, _ = trainer(LearningConsortium(4))
    note = training_note(peer, *result)
    peer.chain.store.set_note("training", note)
    again = restarted(peer)
    effects = again.send(DatasetChanged(100))
    assert len(of(Train, effects)) == 1
    assert peer.chain.store.note("unusable training") == note
    (refused,) = of(Refused, [effect for _, effect in again.log])
    assert (refused.what, refused.sender) == ("note", peer.world.address(1))
    assert "training" in refused.reason
    # Said once: what is put aside is not read again.
    assert of(Refused, [effect for _, effect in restarted(peer).log]) == []


NOTES = {
    "no CBOR": b"\xff",
    "a number": encode(5),
    "a text": encode("text"),
    "numbers": encode([1, 2, 3, 4]),
    "bytes": encode([b"bytes"]),
    "a list": encode([["list"]]),
    "nothing six times": encode([None] * 6),
    "half a hash": encode(["lights", 1, bytes(16), 0]),
    "a wrong time": encode(["lights", 1, bytes(32), "now"]),
    "a wrong iteration": encode(["lights", "one", bytes(32), 0]),
}


@pytest.mark.parametrize("name", ["training", "vote", "own transactions"])
@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_no_note_keeps_a_vehicle_from_starting(name: str, note: bytes) -> None:
    peer, _ = trainer(LearningConsortium(4))
    peer.chain.store.set_note(name, note)
    again = restarted(peer)
    (start,) = of(Train, again.send(DatasetChanged(100)))
    (refused,) = of(Refused, [effect for _, effect in again.log])
    assert refused.what == "note"
    assert peer.chain.store.note(f"unusable {name}") == note
    assert len(of(BroadcastTransaction, again.send(Trained(start.request, CID, 0.5, 100)))) == 1
