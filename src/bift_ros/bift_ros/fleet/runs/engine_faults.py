"""Faults of a fleet in containers: some are killed, or cut off from the fleet's network."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from docker.client import DockerClient

from bift_ros.fleet.runtimes.docker.containers import LABEL, VEHICLE_LABEL
from bift_ros.monitoring.status import Statuses

RESTART_SECONDS = 30.0
"""How long killed containers stay down."""
CUT_OFF_ITERATIONS = 2
"""How many iterations the others make while some are cut off."""


class Fault(Protocol):
    """Something that befalls a fleet while it learns."""

    victims: tuple[str, ...]

    @property
    def over(self) -> bool:
        """Whether it has come and been mended."""

    def step(self, statuses: Statuses) -> None:
        """Do what is due, by what the vehicles say of themselves; called all the time."""


def draw(vehicles: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """So many vehicles, at random but the same for a seed."""
    return tuple(sorted(random.Random(seed).sample(list(vehicles), number)))


def _iteration(statuses: Statuses, names: Sequence[str]) -> int:
    """The last iteration that any of these has finished."""
    return max((s.task.current_iter for n in names if (s := statuses.get(n))), default=0)


@dataclass
class Kill:
    """`docker kill` of some once an iteration is done, and `docker start` of them later."""

    client: DockerClient
    fleet: str
    victims: tuple[str, ...]
    killed_at: float | None = None
    """Monotonic seconds."""
    restarted: bool = False

    @property
    def over(self) -> bool:
        """Whether they have been started again."""
        return self.restarted

    def step(self, statuses: Statuses) -> None:
        """Kill when the first iteration is done; start them `RESTART_SECONDS` later."""
        if self.killed_at is None:
            if _iteration(statuses, self.victims) >= 1:
                for container in _containers(self.client, self.fleet, self.victims).values():
                    container.kill()
                self.killed_at = time.monotonic()
        elif not self.restarted and time.monotonic() - self.killed_at >= RESTART_SECONDS:
            for container in _containers(self.client, self.fleet, self.victims).values():
                container.start()
            self.restarted = True


@dataclass
class Disconnect:
    """`docker network disconnect` of some for some iterations, and `docker network connect`."""

    client: DockerClient
    fleet: str
    victims: tuple[str, ...]
    _cut_at: int | None = None
    """The iteration that was done when they were cut off."""
    _places: dict[str, Any] = field(default_factory=dict)
    """Their places in the network: addresses and names."""
    reconnected: bool = False

    @property
    def over(self) -> bool:
        """Whether they are back."""
        return self.reconnected

    def step(self, statuses: Statuses) -> None:
        """Cut off when the first iteration is done; connect when the others are two further."""
        done = _iteration(statuses, [name for name in statuses if name not in self.victims])
        if self._cut_at is None:
            if done >= 1:
                self._disconnect()
                self._cut_at = done
        elif not self.reconnected and done >= self._cut_at + CUT_OFF_ITERATIONS:
            self._connect()
            self.reconnected = True

    def _network(self) -> Any:
        (network,) = self.client.networks.list(filters={"label": f"{LABEL}={self.fleet}"})
        return network

    def _disconnect(self) -> None:
        network = self._network()
        for name, container in _containers(self.client, self.fleet, self.victims).items():
            self._places[name] = container.attrs["NetworkSettings"]["Networks"][network.name]
            network.disconnect(container)

    def _connect(self) -> None:
        network = self._network()
        for name, container in _containers(self.client, self.fleet, self.victims).items():
            place = self._places[name]
            network.connect(
                container,
                ipv4_address=place["IPAMConfig"]["IPv4Address"],
                aliases=place["Aliases"],
            )


def _containers(client: DockerClient, fleet: str, vehicles: Sequence[str]) -> dict[str, Any]:
    found = client.containers.list(all=True, filters={"label": [f"{LABEL}={fleet}", VEHICLE_LABEL]})
    by_vehicle = {container.labels[VEHICLE_LABEL]: container for container in found}
    return {name: by_vehicle[name] for name in vehicles}
