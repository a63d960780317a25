"""A fleet as containers: one `ContainerSpec` a vehicle, which every renderer translates.

`engine` runs them on this host, `compose` and `kubernetes` write them down. A container holds no
path of the host: what it is given is copied or mounted into `inputs.SETTINGS`, what it keeps is its
volume, and what it is doing now stands in `health.STATUS_FILE`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from bift_ros.fleet.description.fleet import DEFAULT_MEMORY, FleetDescription, VehicleDescription
from bift_ros.fleet.runtimes.dds_security import vehicles_keystore
from bift_ros.fleet.runtimes.discovery import PORT, client_environment, server_command
from bift_ros.fleet.runtimes.docker.health import OLDEST_SECONDS, STATUS_FILE
from bift_ros.fleet.runtimes.docker.inputs import (
    KEYSTORE,
    SETTINGS,
    Input,
    bag_target,
    vehicle_inputs,
)
from bift_ros.fleet.runtimes.plan import Parameters, VehiclePlan, prepare
from bift_ros.fleet.runtimes.processes import vehicle_command
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.security.environment import secured

LABEL = "bift"
"""Everything that belongs to a fleet carries it; its value is the fleet's name."""
VEHICLE_LABEL = "bift.vehicle"
USER = 10001
"""User and group `bift` of the image."""
DATA = "/var/lib/bift"
STATUS_FOLDER = str(Path(STATUS_FILE).parent)
"""In memory: a file that is replaced again and again would keep thirty vehicles' disk busy."""
HEALTH_CHECK = ("python3", "-IS", "/opt/bift/src/bift_ros/bift_ros/fleet/runtimes/docker/health.py")
HEALTH_CHECK_SECONDS = 30
"""Command and period as in the image, for those that don't read it there."""
STATUS_STREAM = (
    "python3", "-IS", "/opt/bift/src/bift_ros/bift_ros/fleet/runtimes/docker/status_stream.py",
    STATUS_FILE, str(OLDEST_SECONDS),
)  # fmt: skip
"""What prints the vehicle's status whenever it changes."""
DISCOVERY = "discovery"
"""Name of the discovery server in the fleet's network."""
_DOMAINS = (0, 1)
"""ROS' domains of a container's two buses, its own and the fleet's."""
_FIRST_HOST = 10
"""The first vehicle's number in the network; those below are the engine's, and an operator's."""
_SERVER_HOST = 9
"""The discovery server's."""


@dataclass(frozen=True)
class Image:
    """An image, and what `docker/Dockerfile` makes it from."""

    tag: str
    torch: str
    """Build argument TORCH: cpu or cuda."""


CPU_IMAGE, CUDA_IMAGE = Image("bift:latest", "cpu"), Image("bift:cuda", "cuda")


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container."""

    vehicle: str | None
    """Whose it is; None: the discovery server's, which is given nothing and keeps nothing."""
    name: str
    """Unique on an engine; a vehicle's volume is called so, too."""
    host: str
    """Its name in the fleet's network."""
    address: str | None
    """Its own address there; None where the network gives it one."""
    image: Image
    command: tuple[str, ...]
    environment: Mapping[str, str]
    inputs: tuple[Input, ...] = ()
    memory_bytes: int
    cpus: float | None = None
    gpu: str | None = None
    """Index of the host's GPU that it uses, or `all`; None: none."""
    capabilities: tuple[str, ...] = ()
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ContainerFleet:
    """A fleet's containers, and the network that is theirs alone."""

    name: str
    network: str
    subnet: IPv4Network | None
    """None: whatever the network gives."""
    containers: tuple[ContainerSpec, ...]
    """The discovery server's first, where there is one."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Of what belongs to no single vehicle."""
        return {LABEL: self.name}

    @property
    def images(self) -> tuple[Image, ...]:
        """All that it needs."""
        return tuple(dict.fromkeys(container.image for container in self.containers))


def container_fleet(
    folder: Path,
    fleet: FleetDescription,
    bags: Sequence[Path | None],
    timestamp: int,
    subnet: IPv4Network | None,
) -> ContainerFleet:
    """Write keys, genesis and parameters below `folder` with `plan.prepare`; the containers.

    With a `subnet` every container has a fixed address in it, and vehicles hear each other by
    multicast too. Without one, as on networks of several hosts, they are found by their names
    alone. `timestamp` is the genesis time in milliseconds. Raises FleetError and what `prepare`
    raises.
    """
    refuse_kubo(fleet)
    hosts = _hosts(fleet)
    addresses = _addresses(fleet, subnet)
    reached_at = {name: addresses.get(name, host) for name, host in hosts.items()}
    server = _server(fleet, subnet) if fleet.discovery == "server" else None
    plan = prepare(folder, fleet, bags, timestamp, _inside(fleet, bags, reached_at, subnet))
    keystore = (
        vehicles_keystore(folder.with_name("security"), fleet, *_DOMAINS)
        if fleet.security
        else None
    )
    vehicles = tuple(
        ContainerSpec(
            vehicle=vehicle.name,
            name=f"{LABEL}-{fleet.name}-{hosts[vehicle.name]}",
            host=hosts[vehicle.name],
            address=addresses.get(vehicle.name),
            image=image_of(vehicle),
            command=_command(vehicle, planned, server),
            environment={
                **_environment(vehicle.name, reached_at, server),
                **(secured(KEYSTORE) if keystore is not None else {}),
            },
            inputs=vehicle_inputs(plan, planned, bag, keystore),
            memory_bytes=vehicle.memory_bytes,
            cpus=vehicle.cpus,
            gpu=_gpu(vehicle),
            capabilities=("NET_ADMIN",) if vehicle.network else (),
            labels={LABEL: fleet.name, VEHICLE_LABEL: vehicle.name},
        )
        for vehicle, planned, bag in zip(fleet.vehicles, plan.vehicles, bags, strict=True)
    )
    containers = vehicles if server is None else (server, *vehicles)
    return ContainerFleet(fleet.name, f"{LABEL}-{fleet.name}", subnet, containers)


def image_of(vehicle: VehicleDescription) -> Image:
    """What a vehicle's container is made from."""
    return CPU_IMAGE if _gpu(vehicle) is None else CUDA_IMAGE


def refuse_kubo(fleet: FleetDescription) -> None:
    """Raise FleetError where a vehicle has the storage kubo."""
    on_kubo = [vehicle.name for vehicle in fleet.vehicles if vehicle.storage != "embedded"]
    if on_kubo:
        raise FleetError(
            f"the image of containers holds no IPFS daemon, which {', '.join(on_kubo)} would need: "
            "give storage: embedded, or take the runtime process"
        )


def _hosts(fleet: FleetDescription) -> dict[str, str]:
    """Each vehicle's name as DNS has names: lower case, hyphens."""
    hosts: dict[str, str] = {}
    for vehicle in fleet.vehicles:
        host = vehicle.name.lower().replace("_", "-")
        if host.endswith("-") or host in (DISCOVERY, *hosts.values()):
            raise FleetError(
                f"the vehicle {vehicle.name} would be called {host} in the network, which another "
                "one is too, or the discovery server, or no host may be: give it another name"
            )
        hosts[vehicle.name] = host
    return hosts


def _server(fleet: FleetDescription, subnet: IPv4Network | None) -> ContainerSpec:
    """The discovery server's container."""
    address = None if subnet is None else str(subnet[_SERVER_HOST])
    return ContainerSpec(
        vehicle=None,
        name=f"{LABEL}-{fleet.name}-{DISCOVERY}",
        host=DISCOVERY,
        address=address,
        image=image_of(fleet.vehicles[0]),  # which is there anyway
        command=server_command(address or "0.0.0.0", PORT),
        environment={},
        memory_bytes=DEFAULT_MEMORY,
        labels={LABEL: fleet.name},
    )


def _addresses(fleet: FleetDescription, subnet: IPv4Network | None) -> dict[str, str]:
    if subnet is None:
        return {}
    last = _FIRST_HOST + len(fleet.vehicles)
    if last >= subnet.num_addresses:
        raise FleetError(f"{subnet} has too few addresses for {len(fleet.vehicles)} vehicles")
    return {v.name: str(subnet[n]) for n, v in enumerate(fleet.vehicles, _FIRST_HOST)}


def _inside(
    fleet: FleetDescription,
    bags: Sequence[Path | None],
    reached_at: Mapping[str, str],
    subnet: IPv4Network | None,
) -> dict[str, Parameters]:
    """Parameters with the paths and addresses that hold inside of the containers."""
    inside: dict[str, Parameters] = {}
    for vehicle, bag in zip(fleet.vehicles, bags, strict=True):
        here: dict[str, dict[str, Any]] = {
            "vehicle": {
                "data_dir": DATA,
                "genesis_file": f"{SETTINGS}/genesis.json",
                "key_file": f"{SETTINGS}/key.pem",
                "status_file": STATUS_FILE,
                "gateway_host": "0.0.0.0",
                "gateway_advertised_host": reached_at[vehicle.name],
                **({"allowed_networks": str(subnet)} if subnet else {}),
            },
            # A container sees its own GPU alone, as the first one.
            "trainer": {"device": "cuda" if _gpu(vehicle) is not None else "cpu"},
        }
        if bag is not None:
            here["camera_replay"] = {"bag": bag_target(bag)}
        inside[vehicle.name] = here
    return inside


def _gpu(vehicle: VehicleDescription) -> str | None:
    """`auto` takes none: a GPU is given to a container when it is made."""
    kind, _, index = vehicle.device.partition(":")
    return (index or "all") if kind == "cuda" else None


def _command(
    vehicle: VehicleDescription, planned: VehiclePlan, server: ContainerSpec | None
) -> tuple[str, ...]:
    inside = replace(planned, parameters_file=Path(SETTINGS, "parameters.yaml"))
    command = ("python", *vehicle_command(inside)[1:])
    before = []
    if vehicle.network:
        before.append("tc qdisc replace dev eth0 root netem " + shlex.join(vehicle.network.netem))
    if server is not None and server.address is None:
        # Fast DDS looks the name up once, and would never ask again.
        before.append(f"until getent hosts {server.host} >/dev/null; do sleep 1; done")
    if not before:
        return command
    return ("sh", "-c", " && ".join([*before, 'exec "$@"']), "sh", *command)


def _environment(
    own: str, reached_at: Mapping[str, str], server: ContainerSpec | None
) -> dict[str, str]:
    # The network is the fleet's own, and so are its domains.
    alone = {
        "ROS_DOMAIN_ID": str(_DOMAINS[0]),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "BIFT_FLEET_DOMAIN_ID": str(_DOMAINS[1]),
        "BIFT_FLEET_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
    }
    if server is not None:
        return {**alone, **client_environment(server.address or server.host, PORT)}
    # Beside multicast, for networks without it and for vehicles that were cut off for a while:
    # a network interface that comes back has forgotten the groups that it had joined.
    others = ";".join(address for name, address in reached_at.items() if name != own)
    return {**alone, "BIFT_FLEET_STATIC_PEERS": others}
