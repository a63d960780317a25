"""`./bift bench fleet`: a fleet from `up` to its task's end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bift_ros.fleet.runs.faults import draw_victims
from bift_ros.fleet.runtimes.process_identity import ProcessIdentity

CONSOLE = (sys.executable, "-m", "bift_ros.console", "bench", "fleet")


def write_fleet(folder: Path, vehicles: int, more: str = "") -> Path:
    """The description of a fleet of processes."""
    file = folder / "pair.yaml"
    file.write_text(
        f"runtime: process\nvehicles: {vehicles}\nreplay_rate: 8\nsynthetic: {{frames: 40}}\n"
        f"defaults: {{device: cpu}}\n{more}"
    )
    return file


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fleet_is_followed_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    file = write_fleet(
        tmp_path, 3, "task: {iterations: 3, local_epochs: 1}\npolicy: {difficulty: 8}\n"
    )
    fleets = tmp_path / "fleets"
    done = subprocess.run(
        [*CONSOLE, file, "--vehicles", "2", "--iterations", "2", "--fleets", fleets, "--json"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["vehicles"], result["iterations"], result["fault"]) == (2, 2, "none")
    assert result["agreed"] is result["verified"] is True
    assert len(result["consensus_seconds"]) == 2
    assert result["up_seconds"] > 0
    assert 0 < result["accuracy"] <= 1
    assert [left.name for left in fleets.iterdir()] == ["bags"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_fleet_that_is_told_to_end_over_and_over_leaves_nothing(tmp_path: Path) -> None:
    file = write_fleet(tmp_path, 2)
    fleets = tmp_path / "fleets"
    with subprocess.Popen(
        [*CONSOLE, file, "--fleets", fleets], stderr=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stderr is not None
        assert any("up after" in line for line in bench.stderr)
        started = json.loads((fleets / "pair" / "processes.json").read_text())["vehicles"]
        vehicles = [ProcessIdentity(**identity) for identity in started.values()]
        assert [vehicle.alive for vehicle in vehicles] == [True, True]
        while bench.poll() is None:
            bench.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                bench.wait(0.1)
    assert bench.returncode != 0
    assert not any(vehicle.alive for vehicle in vehicles)
    assert [left.name for left in fleets.iterdir()] == ["bags"]


def test_faults_befall_containers_alone(tmp_path: Path) -> None:
    file = write_fleet(tmp_path, 2)
    done = subprocess.run(
        [*CONSOLE, file, "--fault", "kill", "--fleets", tmp_path / "fleets"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode != 0
    assert "take the runtime docker" in done.stderr
    assert not (tmp_path / "fleets").exists()


def test_victims_are_drawn_by_the_seed() -> None:
    names = [f"vehicle_{n:02d}" for n in range(30)]
    assert draw_victims(names, 10, 1) == draw_victims(names, 10, 1)
    assert draw_victims(names, 10, 1) != draw_victims(names, 10, 2)
    assert len(set(draw_victims(names, 10, 1))) == 10
