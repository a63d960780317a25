"""`bift chaos` with real vehicles: some are killed, and a network is cut and healed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.fleet.runtimes.network import NetworkError, fleet_network
from bift_ros.synthesis.synth import synthesize

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# Long enough that faults fall into iterations, not all behind the last one.
EPOCHS = 5


@pytest.fixture(scope="module")
def needs_namespaces() -> None:
    try:
        with fleet_network(["a"], ["b"]):
            pass
    except NetworkError as error:
        pytest.skip(str(error))


def chaos(surroundings: Any, out: Path, scenario: str, vehicles: int, bags: Path) -> Any:
    done = surroundings.bift(
        "chaos", "--scenario", scenario, "--vehicles", vehicles, "--bags", bags,
        "--iterations", 4, "--local-epochs", EPOCHS, "--seed", 3, "--out", out, "--json",
    )  # fmt: skip
    logs = "".join(p.read_text()[-3000:] for p in out.glob("*/vehicles/*/vehicle.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    report = json.loads((out / "report.json").read_text())
    assert json.loads(done.stdout) == report
    assert (out / "report.md").read_text().startswith("# Chaos")
    assert surroundings.left_over() == []
    part = report["scenarios"][scenario]
    assert report["held"] is part["held"] is part["agreed"] is part["balances_add_up"] is True
    assert part["iterations"] == 4
    assert set(part["verified"].values()) == {True}
    assert len(set(part["heights"].values())) == 1
    return part


def test_killed_vehicles_come_back_and_lose_nothing(
    surroundings: Any, bags: Path, tmp_path: Path
) -> None:
    part = chaos(surroundings, tmp_path, "kill", 3, bags)
    said = [event["text"] for event in part["events"]]
    assert sum(text.startswith("killed") for text in said) == 2
    assert sum(text.startswith("restarted") for text in said) == 2
    assert sum("is back" in text for text in said) == 2
    assert any(text.startswith("killed vehicle_00") for text in said)


@pytest.mark.usefixtures("needs_namespaces")
def test_a_parted_fleet_ends_on_one_tip(surroundings: Any, tmp_path: Path) -> None:
    bags = tmp_path / "bags"
    synthesize(5, 40, bags, seed=1, test_crops=60)
    part = chaos(surroundings, tmp_path / "out", "partition", 5, bags)
    cut, healed, together = (event["text"] for event in part["events"])
    assert cut.startswith("cut the network")
    assert healed.startswith("healed the network")
    assert "one tip" in together


@pytest.mark.usefixtures("needs_namespaces")
def test_ctrl_c_ends_a_partition_with_all_its_processes(
    surroundings: Any, bags: Path, tmp_path: Path
) -> None:
    surroundings.interrupted(
        "chaos", "--scenario", "partition", "--vehicles", 3, "--bags", bags, "--out", tmp_path,
        "--iterations", 50,
        out=tmp_path,
        logs=[tmp_path / "partition" / "vehicles" / "vehicle_00" / "vehicle.log"],
        ready=b"serves its files at http://10.",
    )  # fmt: skip
