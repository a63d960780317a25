"""The file in which a vehicle in a container says how it is."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.monitoring.status import ChainStatus, DatasetStatus, TrainingStatus, VehicleStatus
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.nodes.vehicle.status_file import StatusFile
from bift_ros.nodes.vehicle.vehicle_node import VehicleNode

pytestmark = pytest.mark.ros


def strict(text: str) -> Any:
    """Read JSON as its standard has it, without Python's own NaN."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_it_holds_the_newest_status(tmp_path: Path) -> None:
    file = StatusFile(tmp_path / "status.json")
    for height in (1, 2):
        said = {"name": "car", "height": height, "equivocations": ["van at 7"], "loss": 0.25}
        file.write(status_from_json(said))
        written = strict((tmp_path / "status.json").read_text())
        assert written.items() >= said.items()
        assert status_from_json(written) == status_from_json(said)
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_its_keys_are_the_same_in_every_version(tmp_path: Path) -> None:
    StatusFile(tmp_path / "status.json").write(VehicleStatus("car"))
    assert set(strict((tmp_path / "status.json").read_text())) == {
        "name", "address", "state", "mines", "frames_seen", "samples", "skipped", "class_samples",
        "epoch", "local_epochs", "loss", "height", "tip", "model_id", "current_iter", "total_iter",
        "global_cid", "accuracy", "rule", "contributors", "balance", "mempool", "peers", "refused",
        "last_refusal", "equivocations", "final_height", "final", "final_round", "conflict",
        "cancelled",
        "training_seconds", "storage_seconds",
        "consensus_seconds", "update_bytes", "rss_mb", "peak_rss_mb", "gpu_mb", "gpu_limit_mb",
        "disk_free_mb", "fetched_bytes", "served_bytes",
    }  # fmt: skip


def test_what_an_earlier_run_has_left_is_gone_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text("{}")
    StatusFile(tmp_path / "status.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_null(tmp_path: Path, loss: float) -> None:
    StatusFile(tmp_path / "status.json").write(
        VehicleStatus("car", training=TrainingStatus(loss=loss))
    )
    document = strict((tmp_path / "status.json").read_text())
    assert document["loss"] is None
    status = status_from_json(document)
    assert math.isnan(status.training.loss)
    assert f"{status.training.loss:.3f}" == "nan"
    assert status.name == "car"


def test_a_reader_finds_one_status_whole(tmp_path: Path) -> None:
    """While statuses of very different lengths replace each other."""
    path = tmp_path / "status.json"
    file = StatusFile(path)
    statuses = [
        VehicleStatus("car", chain=ChainStatus(last_refusal=text))
        for text in ("short", "long" * 5000)
    ]
    file.write(statuses[0])
    enough = threading.Event()

    def write() -> None:
        for status in itertools.cycle(statuses):
            file.write(status)
            if enough.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    lengths = []
    deadline = time.monotonic() + 60
    try:
        while len(lengths) < 300 or len(set(lengths)) < 2:
            assert time.monotonic() < deadline
            lengths.append(len(strict(path.read_text())["last_refusal"]))
    finally:
        enough.set()
        writer.join()
    assert set(lengths) == {len("short"), len("long" * 5000)}


def test_a_vehicle_outlives_a_disk_that_cannot_be_written(
    ros: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "status.json"
    ros.start("-r", "__ns:=/car", "-p", f"status_file:={path}", "-p", "status_period:=0.1")
    said = []

    def status() -> VehicleStatus:
        said.append(None)
        return VehicleStatus("car", dataset=DatasetStatus(samples=len(said)))  # always news

    ros.add(VehicleNode()).serve(status, lambda request, response: response)
    ros.spin_until(path.exists, what="the first status")
    shutil.rmtree(folder)
    before = len(said)
    ros.spin_until(lambda: len(said) >= before + 10, what="the vehicle's next statuses")
    assert not path.exists()
    folder.mkdir()
    ros.spin_until(path.exists, what="a status once the disk is there again")
    assert capfd.readouterr().err.count("no status file: ") == 1  # in a minute
