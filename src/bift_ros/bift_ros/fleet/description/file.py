"""Reads a fleet's description from YAML; every mistake in it is named, with its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bift_ros.consensus.genesis import RULE_OF_MODE, Policy
from bift_ros.fleet.description.document import FleetDocument, PolicySettings
from bift_ros.fleet.description.fleet import NAME, FleetDescription, VehicleDescription
from bift_ros.fleet.description.located_yaml import (
    LocatedYaml,
    Problem,
    YamlSyntaxError,
    read_yaml,
)
from bift_ros.fleet.description.schema import document_problems
from bift_ros.fleet.description.vehicles import VEHICLE_KEYS, VehicleBuilder


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
        located = read_yaml(file)
    except YamlSyntaxError as error:
        raise DescriptionError(str(error)) from error
    document, problems = document_problems(located.value)
    problems += located.problems
    members: tuple[VehicleDescription, ...] = ()
    roll = document or _vehicles_alone(located, problems)
    if roll is not None:
        builder = VehicleBuilder(roll, file.parent)
        members = builder.vehicles(vehicles)
        problems += builder.problems
    _refuse(located, problems)
    assert document is not None
    least = document.policy.minimum_updates
    if least is not None and least > len(members):
        said = f"{least} updates can't come from {len(members)} vehicles"
        _refuse(located, [Problem(("policy", "minimum_updates"), said)])
    if document.security and document.discovery == "server":
        said = "a discovery server has no certificate: take discovery: multicast"
        _refuse(located, [Problem(("security",), said)])
    task = document.task
    if iterations is not None:
        task = task.model_copy(update={"iterations": iterations})
    most = document.policy.max_task_iterations
    if task.iterations > most:
        said = f"{task.iterations} iterations, the policy allows {most}"
        _refuse(located, [Problem(("task", "iterations"), said)])
    return FleetDescription(
        name=name_of(located),
        vehicles=members,
        task=task,
        policy=_policy(document.policy, len(members)),
        runtime=document.runtime,
        discovery=document.discovery,
        security=document.security,
        seed=document.seed,
        replay_rate=document.replay_rate,
        synthetic_frames=document.synthetic.frames,
    )


def name_of(document: LocatedYaml) -> str:
    """What the fleet of a description is called. Raises DescriptionError."""
    given = document.value.get("name") if isinstance(document.value, dict) else None
    name = document.file.stem if given is None else given
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        problem = Problem((), f"{name!r:.60} can't be the fleet's name: add `name: my-fleet`")
        raise DescriptionError(document.message(problem))
    return name


def _vehicles_alone(located: LocatedYaml, problems: Sequence[Problem]) -> FleetDocument | None:
    """What is said of the vehicles, where the problems are elsewhere."""
    if not all(problem.place and problem.place[0] not in VEHICLE_KEYS for problem in problems):
        return None
    return FleetDocument(**{k: v for k, v in located.value.items() if k in VEHICLE_KEYS})


def _refuse(document: LocatedYaml, problems: Sequence[Problem]) -> None:
    if problems:
        in_order = sorted(problems, key=lambda p: document.line_of(p.place))
        raise DescriptionError("\n".join(map(document.message, in_order)))


def _policy(settings: PolicySettings, vehicles: int) -> Policy:
    defaults = {"minimum_updates": vehicles // 2 + 1, "rule": RULE_OF_MODE[settings.mode]}
    return Policy(**{**defaults, **settings.model_dump(exclude_unset=True)})
