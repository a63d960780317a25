"""A fleet of three containers on a real engine, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker.client import DockerClient

from bift_ros.fleet.runtimes.docker.engine import DockerRuntime
from bift_ros.fleet.runtimes.docker.engine_monitor import EngineMonitor
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.monitoring.status import Statuses

CONSOLE = (sys.executable, "-m", "bift_ros.console", "fleet")
BASE = "bift-base:bookworm"
DEADLINE = 600.0
"""Seconds that a step may take on a busy machine."""


class Trio:
    """Three vehicles; `more` is added to their description."""

    def __init__(
        self, folder: Path, engine: DockerClient, name: str = "trio", iterations: int = 1,
        more: str = "",
    ) -> None:  # fmt: skip
        self.name = f"{name}_{uuid.uuid4().hex[:8]}"
        self.engine = engine
        self.fleets = folder / "fleets"
        self.file = folder / f"{self.name}.yaml"
        self.file.write_text(
            "runtime: docker\nvehicles: 3\nreplay_rate: 8\nsynthetic: {frames: 40}\n"
            "defaults: {device: cpu}\n"
            f"task: {{iterations: {iterations}, local_epochs: 1}}\npolicy: {{difficulty: 8}}\n"
            + more
        )

    def bift(self, action: str, *options: str) -> str:
        return bift(action, str(self.file), "--fleets", str(self.fleets), *options)

    def up(self) -> None:
        rows = json.loads(self.bift("up", "--detach", "--json", "--timeout", str(int(DEADLINE))))
        assert [row["name"] for row in rows] == ["vehicle_00", "vehicle_01", "vehicle_02"]

    def container(self, number: int) -> Any:
        return self.named(f"vehicle-{number:02d}")

    def named(self, host: str) -> Any:
        return self.engine.containers.get(f"bift-{self.name}-{host}")

    def left(self) -> dict[str, list[str]]:
        """Names of what the engine has of this fleet."""
        filters = {"label": f"bift={self.name}"}
        return {
            "containers": [c.name for c in self.engine.containers.list(all=True, filters=filters)],
            "networks": [n.name for n in self.engine.networks.list(filters=filters)],
            "volumes": [v.name for v in self.engine.volumes.list(filters=filters)],
        }

    def wait(self, condition: Callable[[Mapping[str, Mapping[str, Any]]], bool]) -> dict[str, Any]:
        """The vehicles' statuses once they fulfil a condition."""
        with DockerRuntime(FleetFolder(self.fleets / self.name)).monitor() as monitor:
            assert isinstance(monitor, EngineMonitor)
            assert monitor.wait(condition, DEADLINE), monitor.vehicles
            return dict(monitor.vehicles)


def bift(*arguments: str) -> str:
    """Run `bift fleet …` to its end; what it says."""
    done = subprocess.run(
        [*CONSOLE, *arguments], capture_output=True, text=True, timeout=2 * DEADLINE
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def on_one_tip(vehicles: Statuses) -> bool:
    """Whether all three have finished the task, and stand on one block."""
    return (
        len(vehicles) == 3
        and all(v and v.task.is_done for v in vehicles.values())
        and len({v.chain.tip for v in vehicles.values() if v}) == 1
    )
