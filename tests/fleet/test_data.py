"""Files between running vehicles: real processes, real DDS, real HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from file_modes import open_to_others

from bift_ros.nodes.observer.monitor import FleetMonitor

pytestmark = [pytest.mark.ros, pytest.mark.slow]

DEADLINE = 120.0
NAMES = ("car", "bus")


def plain(text: str) -> str:
    """What a terminal shows of a text with colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_file_is_shared_listed_and_fetched(surroundings: Any, tmp_path: Path) -> None:
    members: list[object] = []
    for name in NAMES:
        key = surroundings.bift(
            "account", "create", tmp_path / f"{name}.pem", "--no-passphrase", "--json"
        )
        members += ["--member", f"{name}={json.loads(key.stdout)['public_key']}"]
    genesis = tmp_path / "genesis.json"
    assert surroundings.bift("genesis", "create", genesis, *members).returncode == 0

    def start(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            surroundings.command(
                "miner", "start", "--genesis", genesis, "--key", tmp_path / f"{name}.pem",
                "--data", tmp_path / name, "--no-train",
            ),
            env=os.environ | surroundings.environment,
            stdout=(tmp_path / f"{name}.log").open("wb"),
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def data(*words: object, by: str) -> str:
        done = surroundings.bift("data", *words, "--data", tmp_path / by, "--wait", 60)
        assert done.returncode == 0, done.stderr
        return str(done.stdout.strip())

    tile, copy = tmp_path / "tile.pbf", tmp_path / "copy.pbf"
    tile.write_bytes(np.random.default_rng(1).bytes(20_000_000))
    monitor = FleetMonitor()
    (tmp_path / "car").mkdir(mode=0o755)
    running = [start(name) for name in NAMES]
    try:
        together = {"car", "bus"}
        assert monitor.wait(
            lambda all_: all((s := all_.get(n)) and s.chain.peers for n in together), DEADLINE
        ), monitor.vehicles
        words = ("--announce", "--description", "the old town")
        cid = data("share", tile, *words, by="car")
        assert monitor.wait(
            lambda all_: all((s := all_.get(n)) and s.chain.height for n in together), DEADLINE
        ), monitor.vehicles
        listed = surroundings.bift(
            "data", "list", "--data", tmp_path / "bus", "--genesis", genesis, "--json"
        )
        (file,) = json.loads(listed.stdout)["files"]
        assert (file["name"], file["vehicle"], file["cid"]) == ("tile.pbf", "car", cid)
        assert file["size"] == 20_000_000
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FORCE_COLOR", "1")  # as on a terminal
            patch.setenv("COLUMNS", "160")
            shown = surroundings.bift("data", "get", cid, "--data", tmp_path / "bus", "-o", copy)
        assert shown.stdout.strip() == str(copy), shown.stderr
        assert "20.0/20.0 MB" in plain(shown.stderr)
        assert copy.read_bytes() == tile.read_bytes()

        # Even where the data folder was there already, and open.
        assert [open_to_others(tmp_path / name) for name in NAMES] == [[], []]

        # Who has fetched a file serves it on, and the list ends with a withdrawal.
        running[0].send_signal(signal.SIGINT)
        assert running[0].wait(60) == 0
        again = surroundings.bift(
            "data", "get", cid, "-o", tmp_path / "again.pbf", "--data", tmp_path / "car", "--json"
        )
        assert json.loads(again.stdout)["bytes"] == 20_000_000
        assert again.stderr == ""
        gone = surroundings.bift("data", "withdraw", "tile.pbf", "--data", tmp_path / "bus")
        assert gone.returncode == 2
        assert "lists no file" in gone.stderr
    finally:
        monitor.close()
        for vehicle in running:
            if vehicle.poll() is None:
                vehicle.send_signal(signal.SIGINT)
                vehicle.wait(60)
    assert [vehicle.returncode for vehicle in running] == [0, 0]
    assert surroundings.left_over() == []
