"""The demo on each storage: the same updates give the same global models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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
