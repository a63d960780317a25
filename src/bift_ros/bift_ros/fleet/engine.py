"""The runtime `docker`: a fleet's vehicles in containers of this host's engine."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, IPAMConfig, IPAMPool

from bift_ros.fleet.containers import (
    DATA,
    LABEL,
    VEHICLE_LABEL,
    ContainerFleet,
    ContainerSpec,
    container_fleet,
)
from bift_ros.fleet.description import FleetDescription
from bift_ros.fleet.engine_files import archive
from bift_ros.fleet.engine_monitor import EngineMonitor
from bift_ros.fleet.runtime import FleetError, Monitor
from bift_ros.fleet.subnets import subnets

_SPEC_LABEL = "bift.spec"
"""What a container was made from, as a hash: a container that differs is made anew."""
_AT_ONCE = 4
"""Containers that are made, or stopped, at the same time."""
_GRACE_SECONDS = 20
_CPU_PERIOD = 10**9
"""The engine counts CPUs in billionths."""


def connect() -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST names, or the usual one. Raises FleetError."""
    try:
        client = docker.from_env(timeout=120)
        client.ping()
    except (DockerException, OSError) as error:
        raise FleetError(
            f"no Docker engine answers ({error}): start one (systemctl start docker), name one in "
            "DOCKER_HOST, or use runtime: process"
        ) from error
    return client


class DockerRuntime:
    """One fleet on an engine, found again by its name: everything it makes has it as a label.

    `folder` is where `plan.prepare` writes, and what containers are given comes from.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._client = connect()

    def up(
        self,
        fleet: FleetDescription,
        bags: Sequence[Path | None],
        started: Callable[[str], None],
    ) -> None:
        """Make and start every container that isn't there, or isn't as described any more."""
        network, subnet = self._network()
        now_ms = time.time_ns() // 10**6
        containers = container_fleet(self._folder, fleet, bags, now_ms, subnet)
        images = {image.tag: self._image_id(image.tag) for image in containers.images}

        def ensure(spec: ContainerSpec) -> str:
            self._ensure(spec, images[spec.image.tag], network.name, containers)
            return spec.vehicle

        with ThreadPoolExecutor(_AT_ONCE) as pool, _told():
            for vehicle in pool.map(ensure, containers.containers):
                started(vehicle)

    def monitor(self) -> AbstractContextManager[Monitor]:
        """Read what the vehicles write of themselves; see `engine_monitor`."""
        return closing(EngineMonitor(self._client, self._name))

    def ended(self) -> Mapping[str, str]:
        """The vehicles whose containers don't run, and why."""
        return {
            container.labels[VEHICLE_LABEL]: _reason(container)
            for container in self._containers()
            if container.status != "running"
        }

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """Lines in the order in which they come; without `follow`, vehicle after vehicle."""
        wanted = [c for c in self._containers() if c.labels[VEHICLE_LABEL] in vehicles]
        if not follow:
            for container in wanted:
                for line in container.logs().decode(errors="replace").splitlines():
                    yield container.labels[VEHICLE_LABEL], line
            return
        lines: queue.Queue[tuple[str, str] | None] = queue.Queue()
        for container in wanted:
            threading.Thread(target=_follow, args=(container, lines), daemon=True).start()
        for _ in wanted:
            while (line := lines.get()) is not None:
                yield line

    def down(self, keep_data: bool) -> None:
        """Stop and remove all that has the fleet's label; volumes stay where data is kept."""
        with _told():
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(_remove, self._containers()))
            for network in self._client.networks.list(filters=self._label):
                with suppress(NotFound):
                    network.remove()
            if keep_data:
                return
            for volume in self._client.volumes.list(filters=self._label):
                with suppress(NotFound):
                    volume.remove()

    @property
    def _label(self) -> dict[str, str]:
        return {"label": f"{LABEL}={self._name}"}

    def _containers(self) -> list[Any]:
        with _told():
            found = self._client.containers.list(all=True, filters=self._label, ignore_removed=True)
            return sorted(found, key=lambda container: str(container.name))

    def _image_id(self, tag: str) -> str:
        try:
            return str(self._client.images.get(tag).id)
        except ImageNotFound:
            raise FleetError(
                f"the engine has no image {tag}: build it with `bift fleet build`"
            ) from None

    def _network(self) -> tuple[Any, IPv4Network]:
        """The fleet's network, made where there is none."""
        for network in self._client.networks.list(filters=self._label):
            network.reload()
            return network, IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])
        for subnet in subnets(self._name):
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
            try:
                network = self._client.networks.create(
                    f"{LABEL}-{self._name}",
                    driver="bridge",
                    ipam=ipam,
                    labels={LABEL: self._name},
                    check_duplicate=True,
                )
            except APIError as error:
                if "overlaps" in str(error):
                    continue
                raise FleetError(f"the engine made no network: {error.explanation}") from error
            return network, subnet
        raise FleetError("every subnet of 198.18.0.0/15 is in use: take another fleet down")

    def _ensure(self, spec: ContainerSpec, image: str, network: str, fleet: ContainerFleet) -> None:
        """Have this container run, as described."""
        digest = _digest(spec, image)
        with suppress(NotFound):
            present = self._client.containers.get(spec.name)
            if present.labels.get(_SPEC_LABEL) == digest:
                present.start()  # which leaves a running one alone
                return
            if present.labels.get(LABEL) != self._name:
                raise FleetError(f"the container {spec.name} is not this fleet's: rename the fleet")
            _remove(present)
        self._client.volumes.create(spec.name, labels=dict(spec.labels))
        container = self._create(spec, image, network, {**spec.labels, _SPEC_LABEL: digest})
        with archive(spec.inputs) as data:
            container.put_archive("/", data)
        container.start()

    def _create(
        self, spec: ContainerSpec, image: str, network: str, labels: Mapping[str, str]
    ) -> Any:
        api = self._client.api
        gpus = [DeviceRequest(device_ids=[spec.gpu], capabilities=[["gpu"]])]
        if spec.gpu == "all":
            gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
        host = api.create_host_config(
            binds={spec.name: {"bind": DATA, "mode": "rw"}},
            mem_limit=spec.memory_bytes,
            memswap_limit=spec.memory_bytes,
            nano_cpus=None if spec.cpus is None else int(spec.cpus * _CPU_PERIOD),
            cap_drop=["ALL"],
            cap_add=list(spec.capabilities),
            device_requests=gpus if spec.gpu is not None else None,
            network_mode=network,
        )
        place = api.create_endpoint_config(ipv4_address=spec.address, aliases=[spec.host])
        made = api.create_container(
            image,
            command=list(spec.command),
            name=spec.name,
            hostname=spec.host,
            environment=dict(spec.environment),
            labels=dict(labels),
            host_config=host,
            networking_config=api.create_networking_config({network: place}),
        )
        return self._client.containers.get(made["Id"])


class _told(AbstractContextManager[None]):  # noqa: N801 (a context manager in lower case)
    """Tells the engine's errors as a fleet's."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, APIError):
            raise FleetError(f"the engine says: {error.explanation or error}") from error


def _digest(spec: ContainerSpec, image: str) -> str:
    digest = hashlib.sha256(f"{image}\n{spec!r}\n".encode())
    for given in spec.inputs:
        if given.source.is_file():
            digest.update(given.source.read_bytes())
    return digest.hexdigest()[:16]


def _remove(container: Any) -> None:
    with suppress(NotFound):
        container.stop(timeout=_GRACE_SECONDS)
        container.remove(force=True)


def _reason(container: Any) -> str:
    state = container.attrs["State"]
    see = f"`docker logs {container.name}`"
    if state.get("OOMKilled"):
        limit = container.attrs["HostConfig"]["Memory"] >> 20
        return f"took more than its {limit} MiB of memory; {see}"
    return f"{state['Status']} with status {state['ExitCode']}; {see}"


def _follow(container: Any, lines: queue.Queue[tuple[str, str] | None]) -> None:
    """Put a container's lines into the queue, and None once it has stopped."""
    name, rest = container.labels[VEHICLE_LABEL], b""
    with suppress(APIError, OSError):
        for piece in container.logs(stream=True, follow=True):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                lines.put((name, line.decode(errors="replace")))
    lines.put(None)
