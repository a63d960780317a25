"""Fleets of processes from `up` to `down`, and up again on what they have kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from file_modes import open_to_others

from bift_ros.chain.verification import Verification
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.reading import outcome_of
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.processes import kill_family
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.monitoring.status_json import status_json

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(600)]

GUIDE = (Path(__file__).parents[2] / "docs" / "fleets.md").read_text()
SAID = ("tip", "height", "accuracy", "balance")
"""Of a row, what the vehicle says of its chain."""
DEADLINE = 150


class Town:
    """The fleet `town` in a folder of its own, as a person there sees it."""

    def __init__(self, surroundings: Any, home: Path, description: str) -> None:
        self._surroundings, self._home = surroundings, home
        (home / "town.yaml").write_text(description)
        self.folder = FleetFolder(home / "out" / "fleets" / "town")

    def start(self, command: str) -> subprocess.Popen[str]:
        """Begin a command, written as `./bift …`."""
        program, *words = command.split()
        assert program == "./bift"
        return subprocess.Popen(
            self._surroundings.command(*words),
            cwd=self._home,
            env=os.environ | self._surroundings.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, command: str, status: int = 0) -> tuple[str, str]:
        """Run a command to its end; what it prints, and what it prints to standard error."""
        started = self.start(command)
        try:
            out, errors = started.communicate(timeout=DEADLINE)
        finally:
            started.kill()
        assert started.returncode == status, out + errors
        return out, errors

    def rows(self, status: int = 0) -> list[dict[str, Any]]:
        """What `status --json` prints."""
        rows: list[dict[str, Any]] = json.loads(
            self.run("./bift fleet status town --json", status)[0]
        )
        return rows

    def wait_for_iteration(self, number: int) -> dict[str, VehicleStatus]:
        """The vehicles' own statuses once all have finished so many, on one tip."""
        names = Fleet(self.folder).record.vehicles
        with Fleet(self.folder).listening() as monitor:

            def reached(heard: Statuses) -> bool:
                every = [status for name in names if (status := heard.get(name))]
                return (
                    len(every) == len(names)
                    and all(status.task.current_iter == number for status in every)
                    and len({status.chain.tip for status in every}) == 1
                )

            assert monitor.wait(reached, DEADLINE), monitor.vehicles
            return {n: status for n in names if (status := monitor.vehicles[n])}

    def outcomes(self) -> list[Verification]:
        """The chains on disk, each recomputed; nothing may run."""
        assert self._surroundings.left_over() == []
        genesis = load_genesis(self.folder.vehicles / "genesis.json")
        return [
            outcome_of(self.folder.vehicles / member.name, genesis) for member in genesis.members
        ]


def test_the_guides_fleet_goes_up_and_down_and_resumes(surroundings: Any, tmp_path: Path) -> None:
    description = GUIDE.split("```yaml\n")[1].split("```")[0]
    town = Town(surroundings, tmp_path, description)
    up, status, logs, down, resume, remove = GUIDE.split("```sh\n")[1].split("```")[0].splitlines()
    try:
        said, _ = town.run(up)
        assert re.search(r"^The fleet town is up: 3 vehicles heard each other", said, re.MULTILINE)
        statuses = town.wait_for_iteration(1)
        assert all(status.task.total_iter == 1 for status in statuses.values())
        table, _ = town.run(status)
        rows = town.rows()
        assert [row["name"] for row in rows] == ["vehicle_00", "vehicle_01", "vehicle_02"]
        for row in rows:
            assert set(row) == {"name", "state", *SAID, "rss_mb"}
            said_itself = status_json(statuses[row["name"]])
            assert {f: row[f] for f in SAID} == {f: said_itself[f] for f in SAID}
            assert row["height"] >= 1
            assert row["balance"] == 20
            assert row["rss_mb"] > 50
            assert f"{row['name']} │ {row['state']}" in table
        assert open_to_others(town.folder.root) == []
        log, _ = town.run(logs)
        assert "with iteration 1/1 of traffic-lights" in log
        _, refused = town.run("./bift fleet up town.yaml --iterations 1", status=2)
        assert "the fleet town is up: `bift fleet down town` ends it" in refused
    finally:
        town.run(down)
    before = town.outcomes()
    assert [outcome.problem for outcome in before] == [None] * 3
    assert {row["state"] for row in town.rows(status=1)} == {"ended"}

    try:
        town.run(resume)
        resumed = town.wait_for_iteration(1)
        assert {status.chain.tip for status in resumed.values()} == {before[0].state.tip_hash.hex()}
        assert {status.chain.balance for status in resumed.values()} == {20}
    finally:
        town.run(remove)
    assert surroundings.left_over() == []
    assert list(town.folder.root.parent.iterdir()) == []


def test_who_stays_with_a_fleet_sees_it_and_takes_it_down(
    surroundings: Any, tmp_path: Path
) -> None:
    town = Town(
        surroundings,
        tmp_path,
        "vehicles: 2\ndefaults: {device: cpu}\ntask: {local_epochs: 1}\nsynthetic: {frames: 20}",
    )
    staying = town.start("./bift fleet up town.yaml --json")
    assert staying.stdout is not None
    try:
        rows = json.loads(staying.stdout.readline())
        assert [row["name"] for row in rows] == ["vehicle_00", "vehicle_01"]
        assert all(row["tip"] and row["rss_mb"] for row in rows)
        # A vehicle that dies is told of; the other goes on.
        victim = json.loads((town.folder.root / "processes.json").read_text())
        kill_family(victim["vehicles"]["vehicle_01"]["pid"])
        while rows[1]["state"] != "ended":
            rows = json.loads(staying.stdout.readline())
            assert rows[0]["state"] != "ended"
        assert rows[1]["tip"] is None
        assert town.rows(status=1)[0]["tip"]
        staying.send_signal(signal.SIGINT)
        _, errors = staying.communicate(timeout=60)
    finally:
        staying.kill()
        if town.folder.record.exists():
            town.run("./bift fleet down town")
    assert staying.returncode == 0, errors
    assert "vehicle_01 has ended; `bift fleet logs town --vehicle vehicle_01` tells why" in errors
    assert "Taking the fleet town down" in errors
    assert not town.folder.root.exists()
    assert surroundings.left_over() == []


def test_a_fleet_that_does_not_come_up_leaves_its_logs_and_no_process(
    surroundings: Any, tmp_path: Path
) -> None:
    town = Town(surroundings, tmp_path, "vehicles: 2\ndefaults: {camera: {}, device: cpu}")
    town.run("./bift fleet up town.yaml --detach")
    town.run("./bift fleet down town --keep-data")
    key = town.folder.vehicles / "vehicle_01" / "key.pem"
    key.unlink()
    save_key(key, KeyPair.generate(), None)
    _, errors = town.run("./bift fleet up town --detach", status=2)
    assert "bift: vehicle_01 has ended; `bift fleet logs town --vehicle vehicle_01`" in errors
    assert surroundings.left_over() == []
    log, _ = town.run("./bift fleet logs town --vehicle vehicle_01")
    assert "is not that of the member vehicle_01" in log
