"""A fleet on one host: names, keys, genesis and each vehicle's parameters, written to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bift_ros.consensus.genesis import Genesis, Member, Policy, load_genesis, save_genesis
from bift_ros.fleet.runtimes.kubo_swarm import kubo_parameters
from bift_ros.identity.keyfile import load_key, save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.vehicle_names import vehicle_name


def key_file(folder: Path) -> Path:
    """Where the key of the vehicle in `folder` lies."""
    return folder / "key.pem"


@dataclass(frozen=True)
class VehiclePlan:
    """One vehicle to run."""

    name: str
    folder: Path
    parameters_file: Path
    remappings: Mapping[str, str] = field(default_factory=dict)
    """Its own names of topics, and what they are called where it runs."""


@dataclass(frozen=True)
class FleetPlan:
    """A fleet to run, everything it needs being on disk."""

    genesis: Genesis
    genesis_file: Path
    vehicles: tuple[VehiclePlan, ...]


@dataclass(frozen=True)
class FleetSettings:
    """What makes one fleet differ from another."""

    policy: Policy
    timestamp: int
    """The genesis time, milliseconds since the Unix epoch."""
    bags: tuple[Path | None, ...]
    """A rosbag2 folder for each vehicle; None: it has a live camera."""
    replay_rate: float
    task: dict[str, Any]
    """The proposed task's `task.*` parameters; the first vehicle proposes it."""
    storage: str = "embedded"
    """Where every vehicle keeps its files: embedded, or kubo."""
    device: str = "auto"
    seed: int = 0
    names: tuple[str, ...] = ()
    """The vehicles', in the order of `bags`; none: `vehicle_name`'s."""
    vehicles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """More parameters of single vehicles, by vehicle and node."""
    remappings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Topics of single vehicles that are called otherwise, by vehicle."""


def prepare(folder: Path, settings: FleetSettings) -> FleetPlan:
    """Write keys, genesis and parameter files below `folder`; a fleet already there is resumed.

    Raises GenesisError, KeyFileError or StorageError where what is there cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = settings.names or tuple(vehicle_name(n) for n in range(len(settings.bags)))
    keys = {name: _key(key_file(folder / name)) for name in names}
    genesis_file = folder / "genesis.json"
    if not genesis_file.exists():
        members = tuple(Member(name, keys[name].public_key) for name in names)
        save_genesis(
            genesis_file, Genesis("bift-fleet", settings.timestamp, members, settings.policy)
        )
    own = {name: settings.vehicles.get(name, {}).get("vehicle", {}) for name in names}
    on_kubo = [n for n in names if own[n].get("storage", settings.storage) == "kubo"]
    storage = kubo_parameters(folder, on_kubo, own) if on_kubo else {}
    vehicles = tuple(
        VehiclePlan(
            name,
            folder / name,
            _write_parameters(folder, n, name, settings, storage.get(name, {})),
            settings.remappings.get(name, {}),
        )
        for n, name in enumerate(names)
    )
    return FleetPlan(load_genesis(genesis_file), genesis_file, vehicles)


def _key(path: Path) -> KeyPair:
    if path.exists():
        return load_key(path, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = KeyPair.generate()
    save_key(path, key, None)
    return key


def _write_parameters(
    folder: Path,
    number: int,
    name: str,
    settings: FleetSettings,
    storage: Mapping[str, Any],
) -> Path:
    root, bag = folder / name, settings.bags[number]
    nodes = {
        "vehicle": {
            "data_dir": str(root.resolve()),
            "genesis_file": str((folder / "genesis.json").resolve()),
            "key_file": str(key_file(root).resolve()),
            "propose": number == 0,
            "storage": settings.storage,
            **storage,
            **settings.task,
        },
        "trainer": {"device": settings.device, "seed": settings.seed * 1000 + number},
        "camera_replay": {"bag": str(bag.resolve()), "rate": settings.replay_rate} if bag else {},
    }
    for node, parameters in settings.vehicles.get(name, {}).items():
        nodes[node] = {**nodes.get(node, {}), **parameters}
    path = root / "parameters.yaml"
    write_parameters(path, name, {node: given for node, given in nodes.items() if given})
    return path


def write_parameters(path: Path, name: str, nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a ROS parameter file: the parameters of each node of the vehicle `name`."""
    document = {
        f"/{name}/{node}": {"ros__parameters": dict(parameters)}
        for node, parameters in nodes.items()
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
