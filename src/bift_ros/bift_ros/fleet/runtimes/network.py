"""A network of its own for a fleet: a namespace per vehicle, two switches, and a cable to cut.

    vehicles of side A ── switch A ══ cable ══ switch B ── vehicles of side B

The switches stand in a namespace, too, so neither links nor firewall rules of the host matter.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from bift_ros.fleet.runtimes.namespaces import enter_namespace, new_namespace

_PREFIX = "10.77.0"
_BURST, _QUEUE = "32kb", "100ms"
"""Of a shaped link: what it passes at once, and the longest that a packet waits in its queue."""


class NetworkError(Exception):
    """The network cannot be made here; says what to do."""


class FleetNetwork:
    """What `fleet_network` made."""

    def __init__(self, addresses: dict[str, str], namespaces: dict[str, int], switches: int):
        self._addresses, self._switches = addresses, switches
        self.namespaces = namespaces
        """Each vehicle's as an open descriptor."""
        self._ports = {name: f"port-{number}" for number, name in enumerate(addresses, 1)}

    def address_of(self, name: str) -> str:
        """A vehicle's address."""
        return self._addresses[name]

    def shape(self, mbit_per_s: float) -> None:
        """Let no vehicle send or receive faster. Raises NetworkError where the kernel can't."""
        limit = f"root tbf rate {mbit_per_s:g}mbit burst {_BURST} latency {_QUEUE}"
        try:
            for name, namespace in self.namespaces.items():
                _iproute2("tc", namespace, [f"qdisc add dev eth0 {limit}"])
                _iproute2("tc", self._switches, [f"qdisc add dev {self._ports[name]} {limit}"])
        except NetworkError as error:
            raise NetworkError(f"the network can't be shaped: {error}") from error

    def cut(self) -> None:
        """Take the cable between the sides away."""
        _ip(self._switches, ["link set cable-a down"])

    def heal(self) -> None:
        """Plug the cable in again."""
        _ip(self._switches, ["link set cable-a up"])


@contextmanager
def fleet_network(side_a: Sequence[str], side_b: Sequence[str] = ()) -> Iterator[FleetNetwork]:
    """Make a network for these vehicles; it is gone after the context. Raises NetworkError."""
    with ExitStack() as stack:
        switches = _namespace(stack)
        _ip(
            switches,
            [
                # No snooping: without a querier discovery's multicast has to reach every port.
                "link add switch-a type bridge mcast_snooping 0",
                "link add switch-b type bridge mcast_snooping 0",
                "link add cable-a type veth peer name cable-b",
                "link set cable-a master switch-a up",
                "link set cable-b master switch-b up",
                "link set switch-a up",
                "link set switch-b up",
            ],
        )
        namespaces: dict[str, int] = {}
        addresses: dict[str, str] = {}
        for number, name in enumerate([*side_a, *side_b], 1):
            switch = "switch-b" if name in side_b else "switch-a"
            namespaces[name] = _namespace(stack)
            addresses[name] = f"{_PREFIX}.{number}"
            there = f"/proc/{os.getpid()}/fd/{namespaces[name]}"
            _ip(
                switches,
                [
                    f"link add port-{number} type veth peer name eth0 netns {there}",
                    f"link set port-{number} master {switch} up",
                ],
            )
            _ip(
                namespaces[name],
                [
                    "link set lo up",
                    f"address add {addresses[name]}/24 dev eth0",
                    "link set eth0 up",
                    "route add 224.0.0.0/4 dev eth0",
                ],
            )
        yield FleetNetwork(addresses, namespaces, switches)


def _namespace(stack: ExitStack) -> int:
    try:
        namespace = new_namespace()
    except OSError as error:
        raise NetworkError(
            f"this process may not make network namespaces ({error.strerror}): run it as root, "
            "or through `unshare --map-root-user --net`"
        ) from error
    stack.callback(os.close, namespace)
    return namespace


def _ip(namespace: int, commands: Sequence[str]) -> None:
    try:
        _iproute2("ip", namespace, commands)
    except NetworkError as error:
        raise NetworkError(f"{error}; the kernel needs the modules bridge and veth") from error


def _iproute2(name: str, namespace: int, commands: Sequence[str]) -> None:
    """Run commands of iproute2 in a namespace."""
    program = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if program is None:
        raise NetworkError(f"there is no `{name}` command here: install the package iproute2")
    done = subprocess.run(
        [program, "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(enter_namespace, namespace),
    )
    if done.returncode != 0:
        raise NetworkError(f"`{name}` could not set up the fleet's network: {done.stderr.strip()}")
