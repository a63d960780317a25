"""Reads a fleet's description from YAML; every mistake in it is named, with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bift_ros.consensus.genesis import RULE_OF_MODE, Policy
from bift_ros.fleet.description.fleet import FleetDescription, TaskDescription, VehicleDescription
from bift_ros.fleet.description.located_yaml import LocatedYaml, Problem, YamlSyntaxError, read_yaml
from bift_ros.fleet.description.roster import ROSTER_KEYS, Roster
from bift_ros.fleet.description.schema import fleet_schema, schema_problems

_NAME = re.compile(fleet_schema()["properties"]["name"]["pattern"])
_FRACTIONS = ("byzantine_fraction", "max_omitted_fraction", "membership_threshold")


class DescriptionError(ValueError):
    """A description that describes no fleet; a line for each mistake."""


def load_description(
    file: Path, vehicles: int | None = None, iterations: int | None = None
) -> FleetDescription:
    """Read and check a fleet's description.

    `vehicles` and `iterations` stand for the numbers in the file. Raises DescriptionError, which
    tells all that is wrong; only whether the vehicles go together is seen once each is sound.
    """
    try:
        document = read_yaml(file)
    except YamlSyntaxError as error:
        raise DescriptionError(str(error)) from error
    problems = [*document.problems, *schema_problems(document.value)]
    made: tuple[VehicleDescription, ...] = ()
    if all(problem.place and problem.place[0] not in ROSTER_KEYS for problem in problems):
        roster = Roster(document.value, file.parent)
        made = roster.vehicles(vehicles)
        problems += roster.problems
    _refuse(document, problems)
    return _build(document, made, iterations)


def name_of(document: LocatedYaml) -> str:
    """What the fleet of a description is called. Raises DescriptionError."""
    given = document.value.get("name") if isinstance(document.value, dict) else None
    name = document.file.stem if given is None else given
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problem = Problem((), f"{name!r:.60} can't be the fleet's name: add `name: my-fleet`")
        raise DescriptionError(document.message(problem))
    return name


def _refuse(document: LocatedYaml, problems: list[Problem]) -> None:
    if problems:
        in_order = sorted(problems, key=lambda p: document.line_of(p.place))
        raise DescriptionError("\n".join(map(document.message, in_order)))


def _build(
    document: LocatedYaml, vehicles: tuple[VehicleDescription, ...], iterations: int | None
) -> FleetDescription:
    given: dict[str, Any] = document.value
    policy = given.get("policy", {})
    if policy.get("minimum_updates", 1) > len(vehicles):
        text = f"{policy['minimum_updates']} updates can't come from {len(vehicles)} vehicles"
        _refuse(document, [Problem(("policy", "minimum_updates"), text)])
    task = _with_floats(given.get("task", {}), "learning_rate")
    if iterations is not None:
        task["iterations"] = iterations
    return FleetDescription(
        name=name_of(document),
        vehicles=vehicles,
        task=TaskDescription(**task),
        policy=_policy(policy, len(vehicles)),
        **{key: given[key] for key in ("runtime", "discovery", "seed") if key in given},
        replay_rate=float(given.get("replay_rate", FleetDescription.replay_rate)),
        **{f"synthetic_{key}": value for key, value in given.get("synthetic", {}).items()},
    )


def _policy(given: Mapping[str, Any], vehicles: int) -> Policy:
    defaults = {
        "minimum_updates": vehicles // 2 + 1,
        "rule": RULE_OF_MODE[given.get("mode", Policy.mode)],
    }
    return Policy(**{**defaults, **_with_floats(given, *_FRACTIONS)})


def _with_floats(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The same, with numbers as floats where a person wrote 1 for 1.0: chain and ROS tell apart."""
    return {k: float(value) if k in names else value for k, value in given.items()}
