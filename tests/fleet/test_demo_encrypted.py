"""`bift demo --encrypt`: three real vehicles whose files tell nothing to whoever captures them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.chain.encryption import MAGIC
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.runs.reading import outcome_of, read_model
from bift_ros.fleet.runtimes.folder import key_file

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_a_fleet_learns_from_files_that_only_members_read(
    surroundings: Any, bags: Path, tmp_path: Path
) -> None:
    done = surroundings.bift(
        "demo", "--bags", bags, "--iterations", 1, "--local-epochs", 1, "--device", "cpu",
        "--encrypt", "--out", tmp_path,
    )  # fmt: skip
    logs = "".join(p.read_text() for p in tmp_path.glob("vehicles/*/vehicle.log"))
    assert done.returncode == 0, done.stderr + done.stdout + logs
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["agreed"] is True
    assert all(verified is True for verified in report["verified"].values())
    assert len(report["accuracy"]) == 1  # the evaluator reads it with a member's key
    names = list(report["verified"])
    found = 0
    for name in names:
        for path in (tmp_path / "vehicles" / name / "storage").rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            found += MAGIC in data
            for plain in (b"__metadata__", b"bift-update", b"bift-model", b".weight"):
                assert plain not in data, path
    assert found >= 3 * len(names)

    # A container's data come without its key, which stays with the fleet's settings.
    settings, copy = tmp_path / "vehicles" / names[0], tmp_path / "copy"
    shutil.copytree(settings, copy)
    key_file(copy).unlink()
    genesis = load_genesis(tmp_path / "vehicles" / "genesis.json")
    assert outcome_of(copy, genesis, settings).problem is None
    model = read_model(report["global_cids"][0], copy, genesis, settings)
    assert b".weight" in model

    data = tmp_path / "vehicles" / names[1]
    verified = surroundings.bift("chain", "verify", "--data", data, "--json")
    assert json.loads(verified.stdout)["valid"] is True, verified.stdout + verified.stderr
    (data / "key.pem").rename(data / "key.away")
    locked = surroundings.bift("chain", "verify", "--data", data)
    assert locked.returncode == 2
    assert "key.pem" in locked.stderr
