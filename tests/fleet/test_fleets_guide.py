"""docs/fleets.md says all that a description may, and its examples are what it says they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bift_ros.fleet.description.file import DescriptionError, load_description
from bift_ros.fleet.description.schema import fleet_schema, schema_at

GUIDE = (Path(__file__).parents[2] / "docs" / "fleets.md").read_text()
ROWS = dict(re.findall(r"^\| `([a-z_.]+)` \| (.+?) \| .*\|$", GUIDE, re.MULTILINE))
TOWN, FLEET = re.findall(r"^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def keys(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every key that the schema knows, as the guide writes it: vehicles' without a prefix."""
    for name, entry in schema["properties"].items():
        if "$ref" in entry:
            entry = fleet_schema()["$defs"][entry["$ref"].removeprefix("#/$defs/")]
        if name != "synthetic":
            yield prefix + name
        if "properties" in entry:
            yield from keys(entry, "" if name == "defaults" else f"{prefix}{name}.")
    if schema is fleet_schema():
        yield from keys(fleet_schema()["$defs"]["VehicleEntry"])


def test_every_key_is_described_and_no_other() -> None:
    assert set(ROWS) == set(keys(fleet_schema()))
    assert all(len(text) > 5 for text in ROWS.values())


@pytest.mark.parametrize(
    ("key", "place"), [("task.rule", ("task", "rule")), ("storage", ("defaults", "storage"))]
)
def test_choices_are_listed(key: str, place: tuple[str, ...]) -> None:
    schema = schema_at(place)
    assert schema is not None
    assert all(f"`{choice}`" in ROWS[key] for choice in schema["enum"])


def test_what_is_without_a_key_is_the_schemas_default() -> None:
    for section in ("task", "policy"):
        schema = schema_at((section,))
        assert schema is not None
        for name, entry in schema["properties"].items():
            if "default" in entry:
                said = re.search(rf"^\| `{section}\.{name}` \|.*\| (.*) \|$", GUIDE, re.MULTILINE)
                assert said is not None
                assert said[1].strip("`") == str(entry["default"]).replace("False", "false"), name


def test_the_first_example_is_a_fleet(tmp_path: Path) -> None:
    file = tmp_path / "town.yaml"
    file.write_text(TOWN)
    fleet = load_description(file)
    assert fleet.name == "town"
    assert len(fleet.vehicles) == 3


def test_its_mistakes_are_told_as_the_guide_says(tmp_path: Path) -> None:
    file = tmp_path / "town.yaml"
    file.write_text(TOWN.replace("device:", "devise:").replace("iterations: 5", "iterations: 0"))
    with pytest.raises(DescriptionError) as caught:
        load_description(file)
    said = str(caught.value).replace(f"{tmp_path}/", "")
    assert f"```\n{said}\n```" in GUIDE


def test_the_example_of_vehicles_is_a_fleet(tmp_path: Path) -> None:
    for n in range(23):
        bag = tmp_path / "bags" / f"vehicle_{n:02d}"
        bag.mkdir(parents=True)
        (bag / "metadata.yaml").touch()
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "harbour.yaml"
    file.write_text(FLEET)
    fleet = load_description(file)
    assert len(fleet.vehicles) == 24
    assert fleet.vehicles[-1].name == "bus"
    assert len({v.bag for v in fleet.vehicles}) == 24
    assert [v.malicious for v in fleet.vehicles].count("alie") == 2
    assert yaml.safe_load(FLEET)["vehicles"][0]["mine"] is fleet.vehicles[0].mine is False
