"""Local training inside a vehicle: one at a time, the newest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import TrainingProgress

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.identity.keys import KeyPair
from bift_ros.learning.errors import JobCancelled, TrainingDiverged
from bift_ros.learning.jobs import EpochProgress, TrainJob, TrainResult
from bift_ros.nodes import qos
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.trainer_node import TrainerNode
from bift_ros.nodes.vehicle.vehicle_node import VehicleNode
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import DatasetChanged, Trained, TrainingFailed
from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage

pytestmark = pytest.mark.ros

OWN = KeyPair.from_seed(bytes(32))
GENESIS = Genesis(
    "test",
    1_700_000_000_000,
    (Member("car", OWN.public_key),),
    Policy(difficulty=8, minimum_updates=1),
)
MODEL, UPDATE = b"a global model", b"an update"
TASK = ProposeTask("lights", cid_of(MODEL), 3, "fedavg", "a:b", 2, 5, 0.1, "sgd")
REQUEST = TrainingRequest(TASK, 1, TASK.init_cid)
RESULT = TrainResult(UPDATE, 0.75, 9, 3, 0, (1.0, 0.5), 0.1)


class Worker:
    """Stands in for the worker process: the test says how a job goes."""

    def __init__(self) -> None:
        self.jobs: list[tuple[TrainJob, Callable[[EpochProgress], None]]] = []
        self.futures: list[Future[TrainResult]] = []
        self.cancelled = 0

    def submit(
        self, job: TrainJob, on_progress: Callable[[EpochProgress], None]
    ) -> Future[TrainResult]:
        self.jobs.append((job, on_progress))
        self.futures.append(Future())
        return self.futures[-1]

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        for future in self.futures:
            future.cancel()


class Vehicle:
    def __init__(self, ros: Any, store: ChainStore, storage: EmbeddedStorage, data: Path) -> None:
        self.ros, self.storage = ros, storage
        self.trainer = TrainerNode(storage, data, ("a:b",))
        self.worker: Any = Worker()
        self.trainer.worker = self.worker
        config = PeerConfig(allowed_architectures=("a:b",))
        chain = Blockchain(GENESIS, store)
        self.node = PeerNode("car", OWN, GENESIS, chain, config, storage, self.trainer)
        self.ends: list[Trained | TrainingFailed] = []
        for node in (self.trainer, self.node):
            ros.add(node)

    def train(self, request: TrainingRequest = REQUEST) -> None:
        self.trainer.train(request, self.node.peer, self.ends.append)

    def job(self, number: int = 0) -> TrainJob:
        """The worker's job of this number, once it has been handed over."""
        self.ros.spin_until(lambda: len(self.worker.jobs) > number)
        job: TrainJob = self.worker.jobs[number][0]
        return job

    def end(self) -> Trained | TrainingFailed:
        self.ros.spin_until(lambda: bool(self.ends))
        (end,) = self.ends
        return end


@pytest.fixture
def vehicle(ros: Any, tmp_path: Path) -> Iterator[Vehicle]:
    ros.start("-r", "__ns:=/car", "-p", "seed:=7")
    with (
        EmbeddedStorage(tmp_path / "storage") as storage,
        closing(ChainStore(tmp_path / "chain.sqlite", GENESIS)) as store,
    ):
        storage.put(MODEL)
        vehicle = Vehicle(ros, store, storage, tmp_path / "dataset")
        yield vehicle
        vehicle.trainer.stop()
        vehicle.node.stop()


def test_training_gives_progress_and_an_update(vehicle: Vehicle) -> None:
    heard: list[TrainingProgress] = []
    node = vehicle.ros.node("anybody")
    node.create_subscription(TrainingProgress, "/car/training/progress", heard.append, qos.PROGRESS)
    vehicle.ros.spin_until(lambda: node.count_publishers("/car/training/progress") > 0)
    vehicle.train()
    assert vehicle.trainer.running
    job = vehicle.job()
    assert (job.model, job.architecture) == (MODEL, "a:b")
    assert (job.config.local_epochs, job.config.batch_size, job.config.seed) == (2, 5, 700_001)
    tell = vehicle.worker.jobs[0][1]
    for epoch in (1, 2):
        tell(EpochProgress(epoch, 2, 1.0 / epoch))
    vehicle.ros.spin_until(lambda: len(heard) == 2)
    assert [(m.model_id, m.iteration, m.epoch, m.local_epochs, m.loss) for m in heard] == [
        ("lights", 1, 1, 2, 1.0),
        ("lights", 1, 2, 2, 0.5),
    ]
    vehicle.worker.futures[0].set_result(RESULT)
    assert vehicle.end() == Trained(REQUEST, cid_of(UPDATE), 0.75, 9)
    assert vehicle.storage.get(cid_of(UPDATE)) == UPDATE
    assert not vehicle.trainer.running
    trainer = vehicle.trainer
    assert (trainer.epoch, trainer.loss, trainer.update_bytes) == (2, 0.5, len(UPDATE))


def test_only_the_newest_training_counts(vehicle: Vehicle) -> None:
    vehicle.train()
    vehicle.job()
    first = vehicle.worker.futures[0]
    assert first.set_running_or_notify_cancel()
    newer = replace(REQUEST, iteration=2)
    vehicle.train(newer)
    assert vehicle.worker.cancelled == 1
    vehicle.worker.jobs[0][1](EpochProgress(1, 2, 9.0))  # it was about to end an epoch
    assert vehicle.worker.cancelled == 2
    assert vehicle.trainer.epoch == 0
    first.set_exception(JobCancelled("cancelled"))
    assert vehicle.job(1).config.seed == 700_002
    vehicle.worker.futures[1].set_result(RESULT)
    assert vehicle.end() == Trained(newer, cid_of(UPDATE), 0.75, 9)


def test_the_same_training_may_be_wanted_again(vehicle: Vehicle) -> None:
    """The first one's end, which comes late, is not taken for the second's."""
    vehicle.train()
    vehicle.job()
    assert vehicle.worker.futures[0].set_running_or_notify_cancel()
    vehicle.trainer.cancel()
    vehicle.train(replace(REQUEST))
    vehicle.worker.futures[0].set_result(replace(RESULT, accuracy=0.1))
    vehicle.job(1)
    vehicle.worker.futures[1].set_result(RESULT)
    assert vehicle.end() == Trained(REQUEST, cid_of(UPDATE), 0.75, 9)


def test_a_training_that_waits_for_the_worker_is_taken_back(vehicle: Vehicle) -> None:
    vehicle.train()
    vehicle.job()
    vehicle.trainer.cancel()
    assert not vehicle.trainer.running
    assert vehicle.worker.futures[0].cancelled()
    assert vehicle.worker.cancelled == 0  # whatever it does, it is not this
    vehicle.trainer.cancel()
    assert vehicle.ends == []


def test_one_that_is_cancelled_early_never_reaches_the_worker(vehicle: Vehicle) -> None:
    vehicle.train()
    vehicle.trainer.cancel()
    vehicle.train(replace(REQUEST, iteration=2))
    assert vehicle.job().config.seed == 700_002
    assert len(vehicle.worker.jobs) == 1


def lost_model(vehicle: Vehicle) -> None:
    vehicle.train(replace(REQUEST, base_cid=cid_of(b"nobody has it")))


def diverged(vehicle: Vehicle) -> None:
    vehicle.train()
    vehicle.job()
    vehicle.worker.futures[0].set_exception(TrainingDiverged("NaN in epoch 1"))


def odd_settings(vehicle: Vehicle) -> None:
    vehicle.train(replace(REQUEST, task=replace(TASK, optimizer="magic")))


def full_disk(vehicle: Vehicle) -> None:
    def put(_: bytes) -> str:
        raise OSError(28, "No space left on device")

    vehicle.storage.put = put  # type: ignore[method-assign]
    vehicle.train()
    vehicle.job()
    vehicle.worker.futures[0].set_result(RESULT)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lost_model, "bafkrei"),
        (diverged, "NaN in epoch 1"),
        (odd_settings, "optimizer is 'magic'"),
        (full_disk, "No space left"),
    ],
)
def test_a_failure_is_reported_and_another_may_follow(
    vehicle: Vehicle, fault: Callable[[Vehicle], None], said: str
) -> None:
    fault(vehicle)
    failed = vehicle.end()
    assert isinstance(failed, TrainingFailed)
    assert said in failed.reason
    assert not vehicle.trainer.running
    vehicle.ends.clear()
    jobs = len(vehicle.worker.jobs)
    vehicle.train()
    vehicle.job(jobs)


@pytest.mark.parametrize(
    ("result", "cid", "said"),
    [
        (RESULT, "x", "cid"),
        (replace(RESULT, accuracy=2.0), None, "accuracy"),
        (replace(RESULT, accuracy=float("nan")), None, "accuracy"),
        (replace(RESULT, sample_count=0), None, "sample_count"),
    ],
)
def test_a_result_that_makes_no_update_does_not_end_the_vehicle(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch, result: TrainResult, cid: str | None,
    said: str,
) -> None:  # fmt: skip
    node = vehicle.node
    node.start()
    node.post(DatasetChanged(9))
    node.submit(TASK)
    vehicle.job()
    if cid is not None:
        monkeypatch.setattr(vehicle.storage, "put", lambda _: cid)
        monkeypatch.setattr(vehicle.storage, "pin", lambda _: None)
    vehicle.worker.futures[0].set_result(result)
    vehicle.ros.spin_until(lambda: node.refusals.count == 1)
    assert said in node.refusals.last
    assert not vehicle.trainer.running
    assert node.peer.state.height == 1


def test_nothing_of_a_vehicle_can_be_trained_or_set_from_outside(vehicle: Vehicle) -> None:
    stranger, services, readers = vehicle.ros.node("anybody"), set(), set()
    for node in (vehicle.trainer, vehicle.node, vehicle.ros.add(VehicleNode())):
        own = node.get_name(), "/car"
        services |= {n for n, _ in stranger.get_service_names_and_types_by_node(*own)}
        readers |= {n for n, _ in stranger.get_subscriber_names_and_types_by_node(*own)}
    assert services == {"/car/submit_transaction"}
    assert readers == set()
