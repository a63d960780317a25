"""The runtime `docker`: a fleet's vehicles in containers of this host's engine."""

from __future__ import annotations

import queue
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from docker.client import DockerClient, from_env
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from bift_ros.consensus.exceptions import ChainError
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes.docker.containers import (
    CPU_IMAGE,
    DATA,
    LABEL,
    VEHICLE_LABEL,
    ContainerSpec,
    Image,
    container_fleet,
    image_of,
    refuse_kubo,
)
from bift_ros.fleet.runtimes.docker.engine_containers import (
    GRACE_SECONDS,
    ensure_container,
    remove_container,
    try_security,
)
from bift_ros.fleet.runtimes.docker.engine_monitor import EngineMonitor
from bift_ros.fleet.runtimes.docker.subnets import ensure_network
from bift_ros.fleet.runtimes.folder import FleetFolder, vehicle_log
from bift_ros.fleet.runtimes.log_files import read_logs
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.identity.keyfile import KeyFileError

_FOLDER_LABEL = "bift.folder"
"""Where the fleet lies on this host: another clone may have one of the same name."""
_AT_ONCE = 4
"""Containers that are made at the same time."""


def connect() -> DockerClient:
    """A client of the engine that DOCKER_HOST names, or the usual one. Raises FleetError."""
    try:
        client = from_env(timeout=120)
        client.ping()
    except (DockerException, OSError) as error:
        raise FleetError(
            f"no Docker engine answers ({error}): start one (systemctl start docker), name one in "
            "DOCKER_HOST, or use runtime: process"
        ) from error
    return client


class DockerRuntime:
    """A `runtime.Runtime`: one fleet on an engine, found again by the labels of all it makes."""

    def __init__(self, folder: FleetFolder) -> None:
        self._folder, self._name = folder, folder.root.name
        self._labels = {LABEL: self._name, _FOLDER_LABEL: str(folder.root.resolve())}
        self._client = connect()
        self._cut_off: dict[str, Any] = {}
        """The places that vehicles had in the network before they were cut off."""

    def check(self, fleet: FleetDescription) -> None:
        """Look for the images, and for what is in the way."""
        for image in {image_of(vehicle) for vehicle in fleet.vehicles}:
            made = self._image_id(image)
            if fleet.security:
                with _engine_errors():
                    try_security(self._client, image.tag, made, self._labels)
        for made in self._client.containers.list(
            all=True, filters={"label": f"{LABEL}={self._name}"}
        ):
            elsewhere = made.labels.get(_FOLDER_LABEL)
            if elsewhere != self._labels[_FOLDER_LABEL]:
                raise FleetError(
                    f"this engine has a fleet {self._name} already, that of {elsewhere}: take it "
                    "down, or give this one another name"
                )
        refuse_kubo(fleet)

    def up(
        self,
        fleet: FleetDescription,
        bags: Sequence[Path | None],
        started: Callable[[str], None],
    ) -> None:
        """Make and start every container that isn't there, or isn't as described any more."""
        now_ms = time.time_ns() // 1_000_000
        with _engine_errors():
            network, subnet = ensure_network(self._client, self._name, self._labels)
            containers = container_fleet(self._folder.vehicles, fleet, bags, now_ms, subnet)
            images = {image: self._image_id(image) for image in containers.images}

            def ensure(spec: ContainerSpec) -> str | None:
                image = images[spec.image]
                ensure_container(self._client, spec, image, network.name, self._labels)
                return spec.vehicle

            with ThreadPoolExecutor(_AT_ONCE) as pool:
                try:
                    for vehicle in pool.map(ensure, containers.containers):
                        if vehicle is not None:
                            started(vehicle)
                except BaseException:
                    pool.shutdown(cancel_futures=True)  # on Ctrl-C begin no others
                    raise

    def monitor(self) -> AbstractContextManager[Monitor]:
        """Read what the vehicles write of themselves; see `engine_monitor`."""
        return closing(EngineMonitor(self._client, self._vehicle_filters))

    def running(self) -> Collection[str]:
        """The vehicles whose containers run."""
        with _engine_errors():
            found = self._client.api.containers(filters=self._vehicle_filters)
        return [container["Labels"][VEHICLE_LABEL] for container in found]

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """From the engine; those of containers that are gone, from the files that `down` wrote.

        Lines in the order in which they come; without `follow`, vehicle after vehicle.
        """
        wanted = [
            c
            for c in self._containers(self._vehicle_filters)
            if c.labels[VEHICLE_LABEL] in vehicles
        ]
        gone = set(vehicles) - {c.labels[VEHICLE_LABEL] for c in wanted}
        yield from read_logs({name: self._log(name) for name in sorted(gone)})
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

    @contextmanager
    def data(self, vehicle: str) -> Iterator[Path]:
        """A copy of its volume, read through a container that is never started."""
        wanted = [*self._filters["label"], f"{VEHICLE_LABEL}={vehicle}"]
        with tempfile.TemporaryDirectory(prefix="bift-") as copy:
            with _engine_errors():
                for volume in self._client.volumes.list(filters={"label": wanted}):
                    self._copy(volume.name, Path(copy))
                    break
                else:
                    raise FleetError(f"the engine has no volume of {vehicle}")
            yield Path(copy, Path(DATA).name)

    def _copy(self, volume: str, to: Path) -> None:
        api = self._client.api
        host = api.create_host_config(binds={volume: {"bind": DATA, "mode": "ro"}})
        made = api.create_container(CPU_IMAGE.tag, host_config=host, labels=self._labels)
        try:
            pieces, _ = api.get_archive(made["Id"], DATA)
            with tempfile.TemporaryFile(dir=to) as file:
                file.writelines(pieces)
                file.seek(0)
                with tarfile.open(fileobj=file) as tar:
                    tar.extractall(to, filter="data")
        finally:
            api.remove_container(made["Id"], force=True)

    def kill(self, vehicles: Sequence[str]) -> None:
        """`docker kill`."""
        with _engine_errors():
            for container in self._named(vehicles).values():
                container.kill()

    def restart(self, vehicles: Sequence[str]) -> None:
        """`docker start`."""
        with _engine_errors():
            for container in self._named(vehicles).values():
                container.start()

    def disconnect(self, vehicles: Sequence[str]) -> None:
        """`docker network disconnect`: each is alone then."""
        with _engine_errors():
            (network,) = self._client.networks.list(filters=self._filters)
            for name, container in self._named(vehicles).items():
                place = container.attrs["NetworkSettings"]["Networks"][network.name]
                network.disconnect(container)
                self._cut_off[name] = place

    def connect(self) -> None:
        """`docker network connect`, with the addresses and names that they had."""
        with _engine_errors():
            (network,) = self._client.networks.list(filters=self._filters)
            for name, container in self._named(list(self._cut_off)).items():
                place = self._cut_off.pop(name)
                address = place["IPAMConfig"]["IPv4Address"]
                network.connect(container, ipv4_address=address, aliases=place["Aliases"])

    def _named(self, vehicles: Sequence[str]) -> dict[str, Any]:
        found = self._containers(self._vehicle_filters)
        by_vehicle = {container.labels[VEHICLE_LABEL]: container for container in found}
        return {name: by_vehicle[name] for name in vehicles}

    def down(self, keep_data: bool) -> None:
        """Stop and remove all of the fleet; where data is kept, volumes and logs are, too."""

        def end(container: Any) -> None:
            with suppress(NotFound):
                container.stop(timeout=GRACE_SECONDS)
                if keep_data and VEHICLE_LABEL in container.labels:
                    log = self._log(container.labels[VEHICLE_LABEL])
                    log.touch(mode=0o600)
                    log.write_bytes(container.logs())
            remove_container(container)

        with _engine_errors():
            containers = self._containers(self._filters)
            # All at once, since each is waited for: what they do until they end, they do together.
            with ThreadPoolExecutor(max(1, len(containers))) as pool:
                list(pool.map(end, containers))
            for network in self._client.networks.list(filters=self._filters):
                with suppress(NotFound):
                    network.remove()
            if keep_data:
                return
            for volume in self._client.volumes.list(filters=self._filters):
                with suppress(NotFound):
                    volume.remove()

    def _log(self, vehicle: str) -> Path:
        return vehicle_log(self._folder.vehicle(vehicle))

    @property
    def _filters(self) -> dict[str, list[str]]:
        """What all of the fleet is found by."""
        return {"label": [f"{name}={value}" for name, value in self._labels.items()]}

    @property
    def _vehicle_filters(self) -> dict[str, list[str]]:
        """What its vehicles' containers are found by, and not that of the discovery server."""
        return {"label": [*self._filters["label"], VEHICLE_LABEL]}

    def _containers(self, filters: dict[str, list[str]]) -> list[Any]:
        with _engine_errors():
            found = self._client.containers.list(all=True, filters=filters, ignore_removed=True)
            return sorted(found, key=lambda container: str(container.name))

    def _image_id(self, image: Image) -> str:
        try:
            return str(self._client.images.get(image.tag).id)
        except ImageNotFound:
            raise FleetError(
                f"the engine has no image {image.tag}: `bift fleet build --torch {image.torch}` "
                "builds it"
            ) from None


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Tell the engine's errors, and those of the fleet's files, as the fleet's."""
    try:
        yield
    except APIError as error:
        raise FleetError(f"the engine says: {error.explanation or error}") from error
    except (ChainError, KeyFileError, OSError) as error:
        raise FleetError(str(error)) from error


def _follow(container: Any, lines: queue.Queue[tuple[str, str] | None]) -> None:
    """Put a container's lines into the queue, and None once it has stopped."""
    name, rest = container.labels[VEHICLE_LABEL], b""
    with suppress(APIError, OSError):
        for piece in container.logs(stream=True, follow=True):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                lines.put((name, line.decode(errors="replace")))
    lines.put(None)
