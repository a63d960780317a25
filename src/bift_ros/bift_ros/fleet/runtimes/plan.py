"""A fleet on disk: keys, genesis and each vehicle's parameters, written to a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bift_ros.consensus.genesis import Genesis, Member, load_genesis, save_genesis
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes.folder import key_file
from bift_ros.fleet.runtimes.kubo_swarm import kubo_parameters
from bift_ros.fleet.runtimes.parameter_file import write_parameters
from bift_ros.identity.keyfile import load_key, save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.security.rights import vehicle_path

Parameters = Mapping[str, Mapping[str, Any]]
"""Of one vehicle, by node."""


@dataclass(frozen=True)
class VehiclePlan:
    """One vehicle to run."""

    name: str
    folder: Path
    parameters_file: Path
    remappings: Mapping[str, str] = field(default_factory=dict)
    """Its own names of topics, and what they are called where it runs."""
    enclave: str | None = None
    """That of DDS security; None: it goes without."""


@dataclass(frozen=True)
class FleetPlan:
    """A fleet to run, everything it needs being on disk."""

    genesis: Genesis
    genesis_file: Path
    vehicles: tuple[VehiclePlan, ...]


def prepare(
    folder: Path,
    fleet: FleetDescription,
    bags: Sequence[Path | None],
    timestamp: int,
    runtime: Mapping[str, Parameters] | None = None,
) -> FleetPlan:
    """Write keys, genesis and parameter files below `folder`; a fleet already there is resumed.

    `bags` are each vehicle's, synthetic ones made; `timestamp` is the genesis time in milliseconds
    since the Unix epoch; `runtime` are the parameters that vehicles need where they run. Raises
    GenesisError, KeyFileError or StorageError where what is there cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = {v.name: _key(key_file(folder / v.name)) for v in fleet.vehicles}
    genesis_file = folder / "genesis.json"
    if not genesis_file.exists():
        members = tuple(Member(name, key.public_key) for name, key in keys.items())
        save_genesis(genesis_file, Genesis("bift-fleet", timestamp, members, fleet.policy))
    runtime = runtime or {}
    on_kubo = [v.name for v in fleet.vehicles if v.storage == "kubo"]
    hosts = {n: runtime.get(n, {}).get("vehicle", {}).get("gateway_host") for n in on_kubo}
    storage = kubo_parameters(folder, hosts) if on_kubo else {}
    vehicles = []
    for number, (vehicle, bag) in enumerate(zip(fleet.vehicles, bags, strict=True)):
        name, root = vehicle.name, folder / vehicle.name
        parameters: tuple[Parameters, ...] = (
            {
                "vehicle": {
                    "data_dir": str(root.resolve()),
                    "genesis_file": str(genesis_file.resolve()),
                    "key_file": str(key_file(root).resolve()),
                    "propose": number == 0,
                    **storage.get(name, {}),
                    **fleet.task.parameters(fleet.seed),
                },
                "trainer": {"seed": fleet.seed * 1000 + number},
                "camera_replay": {"bag": str(bag.resolve()), "rate": fleet.replay_rate}
                if bag
                else {},
            },
            vehicle.parameters(),
            runtime.get(name, {}),
        )
        file = root / "parameters.yaml"
        write_parameters(file, name, _merged(parameters))
        remappings = vehicle.camera.remappings if vehicle.camera else {}
        enclave = vehicle_path(name) if fleet.security else None
        vehicles.append(VehiclePlan(name, root, file, remappings, enclave))
    return FleetPlan(load_genesis(genesis_file), genesis_file, tuple(vehicles))


def _key(path: Path) -> KeyPair:
    if path.exists():
        return load_key(path, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = KeyPair.generate()
    save_key(path, key, None)
    return key


def _merged(parameters: Sequence[Parameters]) -> Parameters:
    """Later ones over earlier ones; nodes without any are left out."""
    merged: dict[str, dict[str, Any]] = {}
    for nodes in parameters:
        for node, given in nodes.items():
            merged.setdefault(node, {}).update(given)
    return {node: given for node, given in merged.items() if given}
