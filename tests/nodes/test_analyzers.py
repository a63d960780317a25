"""What diagnostic_aggregator makes of the monitor's statuses by `config/diagnostics/bift.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.monitoring.findings import FLEET
from bift_ros.monitoring.vehicle_checks import CHECKS
from bift_ros.nodes.observer.diagnostics import status_name

CONFIG = Path(__file__).parents[2] / "config" / "diagnostics" / "bift.yaml"
ANALYZERS = yaml.safe_load(CONFIG.read_text())["analyzers"]["ros__parameters"]
DEMO = [vehicle_name(n) for n in range(5)]


def shown(name: str) -> set[str]:
    """Where the tree has a status."""
    return set(branches(ANALYZERS, "", name))


def branches(group: dict[str, Any], above: str, name: str) -> Iterator[str]:
    """As an AnalyzerGroup of Jazzy's diagnostic_aggregator does: whoever matches gets it."""
    path = f"{above}/{group['path']}"
    for analyzer in group.get("analyzers", group).values():
        if not isinstance(analyzer, dict):
            continue
        if analyzer["type"] == "diagnostic_aggregator/AnalyzerGroup":
            yield from branches(analyzer, path, name)
        elif matches(analyzer, name):
            yield f"{path}/{analyzer['path']}/{output_name(analyzer, name)}"


def matches(analyzer: dict[str, Any], name: str) -> bool:
    """As a GenericAnalyzer does."""
    assert analyzer["type"] == "diagnostic_aggregator/GenericAnalyzer"
    assert analyzer.keys() <= {"type", "path", "startswith", "regex", "remove_prefix"}
    return any(name.startswith(text) for text in analyzer.get("startswith", ())) or any(
        re.fullmatch(pattern, name) for pattern in analyzer.get("regex", ())
    )


def output_name(analyzer: dict[str, Any], name: str) -> str:
    """As a GenericAnalyzer does: slashes become spaces, and only then prefixes go."""
    output = name.replace("/", " ")
    for prefix in analyzer["remove_prefix"]:
        output = output.removeprefix(prefix).removeprefix(":").lstrip(" ")
    return output


@pytest.mark.parametrize("part", CHECKS)
def test_the_tree_has_each_part_by_vehicle_and_by_part(part: str) -> None:
    for vehicle in DEMO:
        assert shown(status_name(vehicle, part)) == {
            f"/bift/{vehicle}/{part}", f"/bift/parts/{part}/{vehicle}: {part}",
        }  # fmt: skip


def test_the_fleet_has_a_branch() -> None:
    assert "/bift/fleet/consensus" in shown(status_name(FLEET, "consensus"))
    assert shown(status_name(FLEET, "learning")) == {"/bift/fleet/learning"}


def test_a_vehicle_of_another_name_is_found_by_its_parts() -> None:
    assert shown(status_name("car", "storage")) == {"/bift/parts/storage/car: storage"}
    assert shown(status_name("vehicle_001", "storage")) == {
        "/bift/parts/storage/vehicle_001: storage"
    }


def test_the_status_of_another_robot_is_not_taken() -> None:
    assert shown("camera: temperature") == set()
    assert shown("camera: storage") == set()


def test_no_branch_is_without_a_status() -> None:
    names = {status_name(v, part) for v in DEMO for part in CHECKS} | {
        status_name(FLEET, part) for part in ("consensus", "learning")
    }
    filled = {place.rpartition("/")[0] for name in names for place in shown(name)}
    listed = {f"/bift/{name}" for name in ANALYZERS if name not in ("path", "parts")}
    assert filled == listed | {f"/bift/parts/{part}" for part in CHECKS}
