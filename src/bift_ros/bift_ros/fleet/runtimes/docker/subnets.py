"""A fleet's network on an engine, in what RFC 2544 keeps for tests: no route leads there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from bift_ros.fleet.runtimes.docker.containers import LABEL
from bift_ros.fleet.runtimes.runtime import FleetError

_ALL = tuple(IPv4Network("198.18.0.0/15").subnets(new_prefix=21))
"""Each for more than the 1,000 vehicles that a fleet may have."""


def subnets(fleet: str) -> Iterator[IPv4Network]:
    """All that there are; a fleet of this name begins at the same one on every host."""
    first = int.from_bytes(hashlib.sha256(fleet.encode()).digest()[:4], "big") % len(_ALL)
    yield from _ALL[first:]
    yield from _ALL[:first]


def ensure_network(
    client: DockerClient, fleet: str, labels: Mapping[str, str]
) -> tuple[Any, IPv4Network]:
    """The network that carries these labels, made where there is none. Raises FleetError."""
    wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
    for network in client.networks.list(filters=wanted):
        network.reload()
        return network, IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])
    for subnet in subnets(fleet):
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
        try:
            network = client.networks.create(
                f"{LABEL}-{fleet}",
                driver="bridge",
                ipam=ipam,
                labels=dict(labels),
                check_duplicate=True,
            )
        except APIError as error:
            if "overlaps" in str(error):
                continue
            raise FleetError(f"the engine made no network: {error.explanation}") from error
        return network, subnet
    raise FleetError("every subnet of 198.18.0.0/15 is in use: take another fleet down")
