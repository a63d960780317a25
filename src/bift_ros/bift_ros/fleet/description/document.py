"""A fleet's file as it is written: `vehicles` makes out of it who is in the fleet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from bift_ros.attacks.registry import ATTACKS
from bift_ros.consensus.genesis import MAX_MEMBERS, MODES, Policy
from bift_ros.fleet.description.fleet import (
    NAME,
    RULE,
    CameraTopics,
    Impairment,
    Rule,
    TaskDescription,
)
from bift_ros.fleet.description.section import OneOf, Section, flag, number, part, text, whole

SYNTHETIC = "synthetic"
Attack = Annotated[str, OneOf(tuple(ATTACKS))]
_ATTACK = "How a vehicle attacks the fleet's learning, to test it."
_SIZE = r"^[0-9]+(\.[0-9]+)? ?[KMGT]?i?B$"
_A_SIZE = "a size such as 900MB or 1GB"


def _kind(value: object) -> str | None:
    """Which of the types of a value that may be a list it has."""
    for kind, name in ((list, "list"), (str, "text"), (int, "number")):
        if isinstance(value, kind) and not isinstance(value, bool):
            return name
    return None


KINDS = ("list", "text", "number")


class VehicleSettings(Section, title="a mapping of every vehicle's settings"):
    """What a vehicle has, as `model_fields_set` tells: what is not there may stand elsewhere."""

    mine: bool = flag(True, "Whether the vehicle aggregates updates and searches for blocks.")
    bag: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[Annotated[str, Field(title="a path")]], Field(min_length=1), Tag("list")],
        Discriminator(_kind),
    ] = Field(
        default=SYNTHETIC,
        title="a path, a list of paths, or synthetic",
        description="rosbag2 folder that the vehicle replays as its camera. A pattern with * or a "
        "list of paths is dealt out, one to each vehicle. Relative to this file. synthetic: scenes "
        "that are drawn when the fleet first starts.",
    )
    camera: CameraTopics | None = part(None, "Live topics instead of a bag.")
    storage: Literal["embedded", "kubo"] = Field(
        default="embedded", title="storage", description="Where the vehicle keeps its files."
    )
    keep: Literal["window", "all"] = Field(
        default="window",
        title="keep",
        description="What stays of the chain: the last iterations and what they build on, or all.",
    )
    device: str = text(
        "auto",
        "auto, cpu, cuda or cuda:N",
        "Where the vehicle trains.",
        r"^(auto|cpu|cuda(:[0-9]+)?)$",
    )
    memory: str = text(
        "1GB", _A_SIZE, "The most memory that the vehicle's container may take.", _SIZE
    )
    gpu_memory: str = text(
        "900MB",
        _A_SIZE,
        "The vehicle's share of its GPU: the most memory that its training may take there.",
        _SIZE,
    )
    cpus: float | None = Field(
        default=None,
        title="a number of cores above 0, such as 0.5",
        description="The most CPU cores that the vehicle's container may keep busy; without it, "
        "all.",
        gt=0,
        le=1024,
    )
    network: Impairment = part(
        Impairment(), "What the vehicle's sending suffers from, as tc-netem(8) makes it."
    )


class VehicleEntry(VehicleSettings, title="a mapping of a vehicle's settings"):
    """One vehicle, or several alike."""

    name: str | None = text(
        None,
        "a ROS name of letters, digits and _",
        "Name and ROS namespace; without it vehicle_00, vehicle_01, and so on by the vehicle's "
        "place in the fleet.",
        r"^[A-Za-z][A-Za-z0-9_]{0,63}$",
    )
    count: int = whole(1, "So many vehicles alike.", 1, MAX_MEMBERS)
    malicious: Attack | None = text(None, "attack", _ATTACK)


class MaliciousGroup(Section, title="a mapping of attack and count"):
    """The last vehicles of a fleet."""

    attack: Attack = Field(title="attack", description=_ATTACK)
    count: int = Field(title="a whole number from 0 to 999", description="How many.", ge=0, le=999)


class PolicySettings(Section, title="a mapping of the genesis' policy"):
    """What is there replaces what `genesis.Policy` has by default."""

    mode: Annotated[str, OneOf(tuple(MODES))] = Field(
        default=Policy.mode,
        title="mode",
        description="bift: updates are committed to before they are revealed; paper: as the paper "
        "has it.",
    )
    rule: Rule | None = text(None, "rule", RULE)
    difficulty: int = whole(Policy.difficulty, "Leading zero bits of a block's hash.", 0, 64)
    update_wait_ms: int = whole(
        Policy.update_wait_ms, "T_m: how long a miner waits for more updates, milliseconds.", 0
    )
    minimum_updates: int | None = whole(
        None,
        "The fewest updates that make a global model; without it, those of more than half the "
        "vehicles.",
        1,
        MAX_MEMBERS,
    )
    byzantine_fraction: float = number(
        Policy.byzantine_fraction, "The share of an iteration's updates assumed malicious.", 0, 0.5
    )
    reward: int = whole(
        Policy.reward, "The stake paid to each contributor of an iteration.", 0, 1 << 32
    )
    max_clock_skew_ms: int = whole(
        Policy.max_clock_skew_ms,
        "How far ahead of the checker's clock a block may be stamped, milliseconds.",
        0,
    )
    max_omitted_fraction: float = number(
        Policy.max_omitted_fraction,
        "A block that omits a larger share of the updates had in good time is refused.",
        0,
        1,
    )
    plain_interval_ms: int = whole(
        Policy.plain_interval_ms,
        "The least time between a block without learning and its parent, milliseconds.",
        0,
    )
    membership_threshold: float = number(
        Policy.membership_threshold,
        "More than this share of the members must vote for another to join or leave.",
        0,
        0.99,
    )
    task_timeout_ms: int = whole(
        Policy.task_timeout_ms,
        "A task without an iteration for this long may be replaced, milliseconds.",
        0,
    )
    encrypt_models: bool = flag(
        Policy.encrypt_models, "Whether model and update files are encrypted for the members."
    )
    max_task_iterations: int = whole(
        Policy.max_task_iterations,
        "The most iterations that a task may be proposed for.",
        1,
    )
    account_burst: int = whole(
        Policy.account_burst,
        "How many transactions, commits and updates aside, a member may say at once.",
        1,
    )
    account_interval_ms: int = whole(
        Policy.account_interval_ms, "After how long it may say one more, milliseconds.", 0
    )


class SyntheticSettings(Section, title="a mapping of the synthetic bags' settings"):
    """How bags are drawn for those who have neither one nor a camera."""

    frames: int = whole(500, "Frames of each bag; a frame holds two lights on average.", 1, 100_000)


class FleetDocument(Section, title="a mapping that describes a fleet"):
    """A fleet of Bift: docs/fleets.md explains every key."""

    name: str | None = text(
        None,
        "a name of lower-case letters, digits, - and _",
        "What the fleet is called; without it, as its file.",
        NAME,
    )
    runtime: Literal["process", "docker"] = Field(
        default="process",
        title="runtime",
        description="Whether vehicles run as processes of this host or each in a container.",
    )
    discovery: Literal["multicast", "server"] = Field(
        default="multicast",
        title="discovery",
        description="Whether vehicles find each other by multicast or through a Fast DDS discovery "
        "server that runs beside them.",
    )
    security: bool = flag(
        False,
        "Whether DDS security keeps out whoever has no certificate of the fleet, and each vehicle "
        "to its own topics and services (docs/security.md).",
    )
    seed: int = whole(0, "Of synthetic bags, initial model and training.", 0, 2_000_000)
    vehicles: Annotated[
        Annotated[int, Field(ge=1, le=MAX_MEMBERS), Tag("number")]
        | Annotated[list[VehicleEntry], Field(min_length=1), Tag("list")],
        Discriminator(_kind),
    ] = Field(
        title=f"a number of vehicles from 1 to {MAX_MEMBERS:,}, or a list of them",
        description="How many, or each one with what it has instead of the defaults.",
    )
    defaults: VehicleSettings = part(
        VehicleSettings(), "What every vehicle has that says nothing else."
    )
    malicious: MaliciousGroup | None = part(
        None, "The last vehicles of the fleet attack its learning."
    )
    task: TaskDescription = part(TaskDescription(), "What the first vehicle proposes.")
    policy: PolicySettings = part(
        PolicySettings(), "The rules that every member keeps, as in a genesis file."
    )
    replay_rate: float = number(1.0, "Speed of bags, as a multiple of their own.", 0.01, 1000)
    synthetic: SyntheticSettings = part(SyntheticSettings(), "How synthetic bags are drawn.")
