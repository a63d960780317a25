"""The demo on each storage: the same updates give the same global models."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bift_ros.storage.kubo_daemon import KuboDaemon

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.kubo]


def run(surroundings: Any, bags: Path, out: Path, storage: str) -> dict[str, Any]:
    done = surroundings.bift(
        # The rule mixed would draw one from a block's hash, which no two runs share.
        "demo", "--bags", bags, "--iterations", 2, "--local-epochs", 1, "--device", "cpu",
        "--rule", "trimmed_mean", "--seed", 3, "--storage", storage, "--out", out,
    )  # fmt: skip
    logs = "".join(p.read_text() for p in out.glob("fleet/*/vehicle.log"))
    assert done.returncode == 0, done.stderr + done.stdout + logs
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    assert report["agreed"] is True
    assert set(report["verified"].values()) == {True}
    return report


def test_the_same_updates_give_the_same_models_on_either_storage(
    surroundings: Any, bags: Path, tmp_path: Path, ipfs: str
) -> None:
    kubo = run(surroundings, bags, tmp_path / "kubo", "kubo")
    assert surroundings.left_over() == []
    for folder in (tmp_path / "kubo" / "fleet").glob("vehicle_*"):
        assert any((folder / "kubo" / "blocks").glob("*/*.data"))
        assert not any(p.is_file() for p in (folder / "storage").rglob("*"))
    embedded = run(surroundings, bags, tmp_path / "embedded", "embedded")
    assert kubo["global_cids"] == embedded["global_cids"]
    assert len(set(kubo["global_cids"])) == 2


def test_a_fleet_bears_the_death_of_a_vehicles_daemon(
    surroundings: Any, bags: Path, tmp_path: Path, ipfs: str
) -> None:
    out = tmp_path / "out"
    command = surroundings.command(
        "demo", "--bags", bags, "--iterations", 4, "--local-epochs", 1, "--device", "cpu",
        "--storage", "kubo", "--out", out,
    )  # fmt: skip
    log = out / "fleet" / "vehicle_01" / "vehicle.log"
    with (tmp_path / "printed").open("wb") as printed:
        demo = subprocess.Popen(
            command,
            env=os.environ | surroundings.environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while not (log.exists() and b"with iteration 1/4" in log.read_bytes()):
            assert demo.poll() is None, (tmp_path / "printed").read_text()
            assert time.monotonic() < deadline, "there was no first iteration"
            time.sleep(0.05)
        pid = KuboDaemon(log.parent / "kubo").pid
        assert pid is not None
        os.kill(pid, 9)
        assert demo.wait(180) == 0, (tmp_path / "printed").read_text()
    finally:
        demo.kill()
        demo.wait()
    report = json.loads((out / "report.json").read_text())
    assert report["iterations"] == 4
    assert report["agreed"] is True
    assert set(report["verified"].values()) == {True}
    assert "starting it again" in log.read_text()
    assert surroundings.left_over() == []
