"""Makes a fleet's containers on an engine, each as its `ContainerSpec` says."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

from docker.client import DockerClient
from docker.errors import ContainerError, NotFound
from docker.types import DeviceRequest, Mount

from bift_ros.fleet.runtimes.dds_security import TRIAL, no_security
from bift_ros.fleet.runtimes.docker.containers import (
    DATA,
    STATUS_FOLDER,
    USER,
    ContainerSpec,
)
from bift_ros.fleet.runtimes.docker.inputs import Input
from bift_ros.fleet.runtimes.runtime import FleetError

GRACE_SECONDS = 20
"""How long a container may take to stop before it is killed."""
_SPEC_LABEL = "bift.spec"
"""What a container was made from, as a hash: a container that differs is made anew."""
_IN_MEMORY = 16 << 20
"""Bytes; a larger archive, with a long bag, goes through a temporary file."""
_CPU_PERIOD = 10**9
"""The engine counts CPUs in billionths."""


def ensure_container(
    client: DockerClient, spec: ContainerSpec, image: str, network: str, labels: Mapping[str, str]
) -> None:
    """Have this container run, as described, from the image of this ID; `labels` are more of them.

    Raises APIError.
    """
    digest = _digest(spec, image)
    with suppress(NotFound):
        present = client.containers.get(spec.name)
        # One that was never started may lack what it is to be given.
        if present.labels.get(_SPEC_LABEL) == digest and present.status != "created":
            present.start()  # which leaves a running one alone
            return
        remove_container(present)
    labels = {**spec.labels, **labels}
    if spec.vehicle is not None:
        client.volumes.create(spec.name, labels=labels)
    container = _create(client, spec, image, network, {**labels, _SPEC_LABEL: digest})
    with _archive(spec.inputs) as data:
        container.put_archive("/", data)
    container.start()


def remove_container(container: Any) -> None:
    """Stop and remove one, which may have gone by itself."""
    with suppress(NotFound):
        container.stop(timeout=GRACE_SECONDS)
        container.remove(force=True)


def try_security(client: DockerClient, name: str, image: str, labels: Mapping[str, str]) -> None:
    """Raise FleetError where the ROS of an image, called `name`, has no DDS security.

    Raises APIError.
    """
    try:
        client.containers.run(
            image,
            ["python", *TRIAL],
            network_mode="none",
            mounts=[_NO_VOLUME],
            labels=dict(labels),
            remove=True,
        )
    except ContainerError as error:
        raise FleetError(no_security(name, (error.stderr or b"").decode())) from error


@contextmanager
def _archive(inputs: Sequence[Input]) -> Iterator[IO[bytes]]:
    """A tar file, to be unpacked at /, whose files the container's user alone may read.

    Copied and not mounted: the container then holds no path of the host, whose own files keep
    their owner and mode.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for given in inputs:
                tar.add(given.source, given.target.lstrip("/"), filter=_owned)
        file.seek(0)
        yield file


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = USER
    member.uname = member.gname = ""
    member.mode = 0o500 if member.isdir() else 0o400
    return member


def _digest(spec: ContainerSpec, image: str) -> str:
    digest = hashlib.sha256(f"{image}\n{spec!r}\n".encode())
    for given in spec.inputs:
        if given.source.is_file():
            digest.update(given.source.read_bytes())
    return digest.hexdigest()[:16]


def _create(
    client: DockerClient,
    spec: ContainerSpec,
    image: str,
    network: str,
    labels: Mapping[str, str],
) -> Any:
    api = client.api
    gpus = [DeviceRequest(device_ids=[spec.gpu], capabilities=[["gpu"]])]
    if spec.gpu == "all":
        gpus = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    host = api.create_host_config(
        **(_SERVER_HOST_CONFIG if spec.vehicle is None else _vehicle_host_config(spec)),
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
        # The image's looks for a vehicle's status.
        healthcheck={"test": ["NONE"]} if spec.vehicle is None else None,
    )
    return client.containers.get(made["Id"])


def _vehicle_host_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "binds": {spec.name: {"bind": DATA, "mode": "rw"}},
        "tmpfs": {STATUS_FOLDER: "mode=1777,size=1m"},
    }


_NO_VOLUME = Mount(DATA, None, type="tmpfs", tmpfs_size=1 << 20)
"""Else the image would have one there."""
_SERVER_HOST_CONFIG: Mapping[str, Any] = {
    "mounts": [_NO_VOLUME],
    # Without it no vehicle could join any more.
    "restart_policy": {"Name": "on-failure"},
}
