"""`bift demo --malicious`: a real fleet with an attacker in it, which treats it as any member."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ATTACKER = "vehicle_03"
GUIDE = Path(__file__).parents[2] / "docs" / "attacks.md"


def test_the_guides_fleet_bears_its_attacker(surroundings: Any, tmp_path: Path) -> None:
    block = GUIDE.read_text().split("```sh\n")[1].split("```")[0]
    bift, *words = shlex.split(block.replace("\\\n", " "))
    assert bift == "./bift"
    done = surroundings.bift(*words, "--device", "cpu", "--out", tmp_path)
    logs = {p.parent.name: p.read_text() for p in tmp_path.glob("vehicles/*/vehicle.log")}
    assert done.returncode == 0, done.stderr + done.stdout + "".join(logs.values())
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["iterations"] == 2
    assert report["agreed"] is True
    assert report["verified"] == dict.fromkeys(logs, True)
    assert report["malicious"] == {ATTACKER: "sign_flip"}
    assert report["dataset_sizes"][ATTACKER] > 20
    assert f"{ATTACKER} (sign_flip)" in done.stdout
    malicious = {name for name, log in logs.items() if "THIS VEHICLE IS MALICIOUS" in log}
    assert malicious == {ATTACKER}
    assert "sign_flip: The mean of the known updates, reversed" in logs[ATTACKER]


def test_an_honest_vehicle_must_be_left(surroundings: Any, bags: Path, tmp_path: Path) -> None:
    done = surroundings.bift(
        "demo", "--bags", bags, "--malicious", "alie", "--attackers", 3, "--out", tmp_path
    )
    assert done.returncode == 2
    assert "3 attackers in a fleet of 3: leave an honest vehicle" in done.stderr
    assert not list(tmp_path.glob("vehicles/*"))
