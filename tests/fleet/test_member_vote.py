"""A running fleet takes another vehicle in by its members' vote: real processes, real DDS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.monitoring.status import Statuses
from bift_ros.nodes.observer.monitor import FleetMonitor

pytestmark = [pytest.mark.ros, pytest.mark.slow]

DEADLINE = 120.0


def test_a_vehicle_joins_by_vote(surroundings: Any, tmp_path: Path) -> None:
    keys = {name: tmp_path / f"{name}.pem" for name in ("car", "bus", "stranger")}
    public = {}
    for name, path in keys.items():
        made = surroundings.bift("account", "create", path, "--no-passphrase", "--json")
        public[name] = json.loads(made.stdout)["public_key"]
    genesis = tmp_path / "genesis.json"
    created = surroundings.bift(
        "genesis", "create", genesis, "--member", f"car={public['car']}", "--minimum-updates", 1
    )
    assert created.returncode == 0, created.stderr

    def start(name: str, *options: object) -> Any:
        command = surroundings.command(
            "miner", "start", "--genesis", genesis, "--key", keys[name],
            "--data", tmp_path / name, "--no-train", *options,
        )  # fmt: skip
        return surroundings.start(*command)

    def vote(by: str, *words: str) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = surroundings.bift(
            "member", "vote", *words, "--key", keys[by]
        )
        return done

    def stands_at(all_: Statuses, height: int) -> bool:
        return all((s := all_.get(n)) and s.chain.height == height for n in ("car", "bus"))

    def reach(condition: Callable[[dict[str, Any]], bool]) -> None:
        assert monitor.wait(condition, DEADLINE), monitor.vehicles

    with closing(FleetMonitor()) as monitor, ExitStack() as running:
        car = running.enter_context(start("car"))
        reach(lambda all_: bool(all_.get("car")))
        bus = running.enter_context(start("bus", "--name", "bus"))
        stranger = vote("stranger", "join", "bus", public["bus"])
        assert stranger.returncode == 2
        assert "not a member" in stranger.stderr
        voted = vote("car", "join", "bus", public["bus"])
        assert voted.returncode == 0, voted.stderr
        reach(lambda all_: stands_at(all_, 1))
        again = vote("car", "join", "bus", public["bus"])
        assert again.returncode == 2
        assert "is the member bus's" in again.stderr
        # The new member's word counts.
        assert vote("bus", "join", "tram", public["stranger"]).returncode == 0
        reach(lambda all_: stands_at(all_, 2))
        for vehicle in (car, bus):
            vehicle.stop()
    for name in ("car", "bus"):
        done = surroundings.bift(
            "member", "list", "--data", tmp_path / name, "--genesis", genesis, "--json"
        )
        listed = json.loads(done.stdout)
        assert [member["name"] for member in listed["members"]] == ["car", "bus"]
        (ballot,) = listed["ballots"]
        assert (ballot["name"], ballot["voters"]) == ("tram", ["bus"])
    assert surroundings.left_over() == []
