"""What every attacker has: a node on each bus, and writers of any bytes to any topic."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bift_msgs import msg, srv
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from adversary.forged_types import ANY_MESSAGE, ANY_SERVICE, named, service_named
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.identity.keyfile import load_key
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus

KINDS = {"/bift/transactions": "Transaction", "/bift/blocks": "Block", "/bift/tips": "Tip"}
CATCH_UP = {
    "get_headers": "GetHeaders",
    "get_blocks": "GetBlocks",
    "get_group_keys": "GetGroupKeys",
    "get_snapshot": "GetSnapshot",
}
DISCOVERY_SECONDS = 20.0
FLOOD = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""What vehicles hear, with as little kept as can be."""


@dataclass(frozen=True)
class Target:
    """What is attacked, as attackers are told in a file."""

    vehicles: tuple[str, ...]
    """Those that run and are honest."""
    genesis_file: str
    member_key: str
    """File of the key of a member whose process doesn't run: who has it may use it."""
    gateways: tuple[str, ...]
    """Base URLs of the honest vehicles' files."""

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> Target:
        read = json.loads(file.read_text())
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in read.items()})


def cdr(canonical: bytes, readable: bytes = bytes(64)) -> bytes:
    """A message of the fleet as it travels: its first field is the canonical bytes.

    What stands behind them nobody reads; zeros are empty words and zeros.
    """
    return b"\0\1\0\0" + struct.pack("<I", len(canonical)) + canonical + readable


def canonical(message: bytes) -> bytes:
    """The canonical bytes of a message as it travels."""
    (size,) = struct.unpack_from("<I", message, 4)
    return message[8 : 8 + size]


class Attacker:
    """A process beside the fleet. With the member's key it is a member that breaks the rules."""

    def __init__(self, target: Target, seconds: float) -> None:
        self.target, self.until = target, time.monotonic() + seconds
        self.nodes: dict[Bus, BusNode] = {}
        self.listener: BusNode | None = None
        """It hears what the fleet says. Forged types would be its own, too, on the same node."""
        self.sent = 0

    @property
    def genesis(self) -> Genesis:
        return load_genesis(Path(self.target.genesis_file))

    @property
    def key(self) -> KeyPair:
        """The key of the member who breaks rules; strangers don't look."""
        return load_key(Path(self.target.member_key), None)

    @property
    def running(self) -> bool:
        return time.monotonic() < self.until

    def node(self, bus: Bus = Bus.FLEET) -> BusNode:
        if bus not in self.nodes:
            self.nodes[bus] = BusNode(bus, f"stranger_{os.getpid()}")
        return self.nodes[bus]

    def spin(self, seconds: float, bus: Bus = Bus.FLEET) -> None:
        end = time.monotonic() + seconds
        while True:
            self._spin_once(bus, max(0.0, min(0.05, end - time.monotonic())))
            if time.monotonic() >= end:
                return

    def _spin_once(self, bus: Bus, seconds: float) -> None:
        self.node(bus).executor.spin_once(timeout_sec=seconds)
        if self.listener is not None:
            self.listener.executor.spin_once(timeout_sec=0.0)

    def wait(self, condition: Callable[[], bool], bus: Bus = Bus.FLEET) -> None:
        deadline = time.monotonic() + DISCOVERY_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody was found to attack")
            self._spin_once(bus, 0.05)

    def writer(self, topic: str, profile: QoSProfile = FLOOD, bus: Bus = Bus.FLEET) -> Any:
        """Publishes any bytes on one of the fleet's topics, once all vehicles listen."""
        with named(KINDS[topic]):
            made = self.node(bus).node.create_publisher(ANY_MESSAGE, topic, profile)
        self.wait(lambda: made.get_subscription_count() >= len(self.target.vehicles), bus)
        return made

    def publish(self, writer: Any, message: bytes) -> None:
        writer.publish(message)
        self.sent += 1

    def client(self, vehicle: str, service: str) -> Any:
        """Asks a vehicle's catch-up service with a sequence of any strings."""
        with service_named(CATCH_UP[service]):
            made = self.node().node.create_client(ANY_SERVICE, f"/{vehicle}/{service}")
        self.wait(made.service_is_ready)
        return made

    def overhear(self, *topics: str, at_least: int = 1) -> dict[str, list[bytes]]:
        """What was said on the topics, as it travels: what is latched, and what comes now."""
        heard: dict[str, list[bytes]] = {topic: [] for topic in topics}
        if self.listener is None:
            self.listener = BusNode(Bus.FLEET, f"listener_{os.getpid()}")
        for topic in topics:
            kind = getattr(msg, KINDS[topic])
            self.listener.node.create_subscription(
                kind, topic, heard[topic].append, qos.FLEET_READER, raw=True
            )
        self.wait(lambda: all(len(found) >= at_least for found in heard.values()))
        return heard

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        if self.listener is not None:
            self.listener.close()


def real_client(attacker: Attacker, vehicle: str, service: str) -> Any:
    """Asks within the bounds of the service's type."""
    kind = getattr(srv, CATCH_UP[service])
    made = attacker.node().node.create_client(kind, f"/{vehicle}/{service}")
    attacker.wait(made.service_is_ready)
    return made


@contextmanager
def attacking(target: Target, seconds: float) -> Iterator[Attacker]:
    attacker = Attacker(target, seconds)
    try:
        yield attacker
    finally:
        attacker.close()


Attack = Callable[[Attacker], Mapping[str, Any] | None]
"""Runs for as long as `attacker.running`; what it found out is printed with the figures."""
