"""A fleet's containers as a Compose file, and as the stack that Docker Swarm runs on many hosts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bift_ros.fleet.runtimes.docker.containers import (
    DATA,
    STATUS_FOLDER,
    USER,
    ContainerFleet,
    ContainerSpec,
)
from bift_ros.fleet.runtimes.docker.inputs import Input
from bift_ros.fleet.runtimes.runtime import FleetError

_NETWORK = "fleet"


def compose_file(fleet: ContainerFleet, folder: Path) -> str:
    """For `docker compose` on one host (Compose Specification); `folder` is where it will lie.

    A Compose secret is a file of the host, seen in the container as it is: so the containers run
    as whoever owns the vehicles' keys. If that is root, `give_away_keys` comes first.
    """
    document = {
        "name": fleet.network,
        "services": {c.host: _on_one_host(c, folder) for c in fleet.containers},
        "networks": {
            _NETWORK: {
                "name": fleet.network,
                "driver": "bridge",
                "ipam": {"config": [{"subnet": str(fleet.subnet)}]},
                "labels": dict(fleet.labels),
            }
        },
        **_shared(fleet, folder),
    }
    return _dump(document)


def give_away_keys(fleet: ContainerFleet) -> None:
    """Let root's keys be the image's user's, which no container of a Compose file is else."""
    for container in fleet.containers:
        for given in container.inputs:
            if given.kind == "secret" and given.source.stat().st_uid == 0:
                os.chown(given.source, USER, USER)


def swarm_stack(fleet: ContainerFleet, folder: Path) -> str:
    """For `docker stack deploy` (Compose file format 3.8).

    Swarm hands keys, genesis and parameters to whichever host a vehicle comes to run on. Bags are
    looked for at the same path on every host. Raises FleetError for GPUs, which stacks can't have.
    """
    document = {
        "version": "3.8",
        "services": {c.host: _on_many_hosts(c, folder) for c in fleet.containers},
        "networks": {
            # Attachable, for a container that looks at the fleet.
            _NETWORK: {"driver": "overlay", "attachable": True, "labels": dict(fleet.labels)}
        },
        **_shared(fleet, folder),
    }
    return _dump(document)


def _on_one_host(spec: ContainerSpec, folder: Path) -> dict[str, Any]:
    service = {
        **_service(spec, folder),
        "container_name": spec.name,
        "networks": {_NETWORK: {"ipv4_address": spec.address}},
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "restart": "unless-stopped",
        "labels": dict(spec.labels),
    }
    for secret in (given for given in spec.inputs if given.kind == "secret"):
        owner = secret.source.stat()
        service["user"] = f"{owner.st_uid}:{owner.st_gid}"
    if spec.cpus is not None:
        service["cpus"] = spec.cpus
    if spec.gpu is not None:
        which = {"count": "all"} if spec.gpu == "all" else {"device_ids": [spec.gpu]}
        device = {"driver": "nvidia", "capabilities": ["gpu"], **which}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return service


def _on_many_hosts(spec: ContainerSpec, folder: Path) -> dict[str, Any]:
    if spec.gpu is not None:
        raise FleetError(
            f"{spec.vehicle} trains on a GPU, which a Swarm stack can't reserve: use Kubernetes, "
            "or device: cpu"
        )
    limits: dict[str, Any] = {"memory": f"{spec.memory_bytes}b"}
    if spec.cpus is not None:
        limits["cpus"] = str(spec.cpus)
    deploy: dict[str, Any] = {"resources": {"limits": limits}, "labels": dict(spec.labels)}
    if spec.vehicle is not None:
        # The name leads to the vehicle itself and not to a balancer before it. The discovery
        # server's is to lead to whichever container it is in now.
        deploy["endpoint_mode"] = "dnsrr"
    owned = {"uid": str(USER), "gid": str(USER), "mode": 0o400}
    service = _service(spec, folder)
    for kind in ("configs", "secrets"):
        service[kind] = [{**given, **owned} for given in service[kind]]
    return {
        **service,
        "networks": [_NETWORK],
        "labels": dict(spec.labels),
        "deploy": deploy,
    }


def _service(spec: ContainerSpec, folder: Path) -> dict[str, Any]:
    """What both formats say in the same words."""
    service: dict[str, Any] = {
        "image": spec.image.tag,
        "hostname": spec.host,
        "command": [_literal(word) for word in spec.command],
        "environment": {name: _literal(value) for name, value in spec.environment.items()},
        "volumes": _mounts(spec, folder),
        "configs": _references(spec, "setting"),
        "secrets": _references(spec, "secret"),
        "cap_drop": ["ALL"],
    }
    if spec.capabilities:
        service["cap_add"] = list(spec.capabilities)
    if spec.vehicle is None:
        service["healthcheck"] = {"disable": True}  # the image's looks for a vehicle
    return service


def _mounts(spec: ContainerSpec, folder: Path) -> list[dict[str, Any]]:
    if spec.vehicle is None:
        return [{"type": "tmpfs", "target": DATA}]  # else the image would have a volume here
    return [
        {"type": "volume", "source": spec.host, "target": DATA},
        {"type": "tmpfs", "target": STATUS_FOLDER},
        *(_bind(given, folder) for given in spec.inputs if given.kind == "bag"),
    ]


def _shared(fleet: ContainerFleet, folder: Path) -> dict[str, Any]:
    """The volumes, configs and secrets that the services refer to."""

    def files(kind: str) -> dict[str, Any]:
        return {
            _name(c, given): {"file": _path(given.source, folder), "labels": dict(fleet.labels)}
            for c in fleet.containers
            for given in c.inputs
            if given.kind == kind
        }

    return {
        "volumes": {
            c.host: {"name": c.name, "labels": dict(c.labels)}
            for c in fleet.containers
            if c.vehicle is not None
        },
        "configs": files("setting"),
        "secrets": files("secret"),
    }


def _references(spec: ContainerSpec, kind: str) -> list[dict[str, Any]]:
    return [
        {"source": _name(spec, given), "target": given.target}
        for given in spec.inputs
        if given.kind == kind
    ]


def _name(spec: ContainerSpec, given: Input) -> str:
    """A config's or secret's: that of its file, after the vehicle's where no other one has it."""
    own = given.source.parent.name == spec.vehicle
    name = Path(given.name).stem
    return f"{spec.host}-{name}" if own else name


def _bind(given: Input, folder: Path) -> dict[str, Any]:
    source = _path(given.source, folder)
    return {"type": "bind", "source": source, "target": given.target, "read_only": True}


def _path(path: Path, folder: Path) -> str:
    """As seen from the folder of the file that names it, if it lies below."""
    path = path.resolve()
    if path.is_relative_to(folder.resolve()):
        return f"./{path.relative_to(folder.resolve())}"
    return str(path)


def _literal(text: str) -> str:
    """Compose would take $NAME for a variable."""
    return text.replace("$", "$$")


def _dump(document: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(document), sort_keys=False, width=100)
    return text
