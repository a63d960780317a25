"""Hears a fleet in containers from outside of its network.

The host has no place in that network, and DDS would find nobody from the engine's side of the
bridge. A container that listens, or a command in one, would add a DDS participant to thirty, and
take seconds to discover them. But every vehicle writes its status into a file for its health
check: `status_stream`, run in each container, hands that out through the engine, of each vehicle
for itself, whatever becomes of the network. `bift system show` in any of the containers still
tells what the vehicles hear.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError
from docker.utils.socket import STDOUT, SocketError, frames_iter
from requests.exceptions import RequestException

from bift_ros.fleet.runtimes.docker.containers import STATUS_STREAM, VEHICLE_LABEL
from bift_ros.fleet.runtimes.docker.health import OLDEST_SECONDS
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.monitoring.status_json import status_from_json

_PERIOD_SECONDS = 1.0
"""How often the engine is asked which containers run."""


class EngineMonitor:
    """Follows the status of every container of the fleet, each on a thread of its own."""

    def __init__(self, client: DockerClient, filters: Mapping[str, list[str]]) -> None:
        """`filters`: what the engine finds the fleet's containers by."""
        self._client, self._filters = client, dict(filters)
        self._changed = threading.Condition()
        self._said: dict[str, VehicleStatus | None] = {}
        self._said_at: dict[str, float] = {}
        self._streams: dict[str, _Stream] = {}
        self._follow()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-monitor", daemon=True)
        self._thread.start()

    @property
    def vehicles(self) -> Statuses:
        """The newest status of each vehicle by name; None for one that doesn't speak."""
        with self._changed:
            return self._fresh()

    def wait(self, condition: Callable[[Statuses], bool], timeout: float) -> bool:
        """Wait until the statuses fulfil a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._fresh()), timeout)

    def close(self) -> None:
        """Stop following; the processes in the containers end."""
        self._closing.set()
        self._thread.join()
        for stream in self._streams.values():
            stream.close()

    def _fresh(self) -> dict[str, VehicleStatus | None]:
        oldest = time.monotonic() - OLDEST_SECONDS
        return {
            name: status if self._said_at.get(name, 0.0) >= oldest else None
            for name, status in sorted(self._said.items())
        }

    def _run(self) -> None:
        while not self._closing.wait(_PERIOD_SECONDS):
            try:
                self._follow()
            except (APIError, RequestException):
                with self._changed:  # the engine restarts, or is gone: nobody speaks
                    self._said = dict.fromkeys(self._said)
                    self._changed.notify_all()

    def _follow(self) -> None:
        """Begin to follow the containers that have come up, and forget those that have ended."""
        for container in self._client.api.containers(all=True, filters=self._filters):
            name, runs = container["Labels"][VEHICLE_LABEL], container["State"] == "running"
            stream = self._streams.get(name)
            if stream is not None and (not runs or not stream.alive):
                stream.close()
                del self._streams[name]
            with self._changed:
                if not runs or name not in self._said:
                    self._said[name] = None
                    self._changed.notify_all()
            if runs and name not in self._streams:
                with suppress(APIError):  # it has just ended
                    self._streams[name] = _Stream(self._client, container["Id"], self._hear(name))

    def _hear(self, name: str) -> Callable[[VehicleStatus | None], None]:
        def hear(status: VehicleStatus | None) -> None:
            with self._changed:
                self._said[name], self._said_at[name] = status, time.monotonic()
                self._changed.notify_all()

        return hear


class _Stream:
    """What `status_stream` prints in one container. Raises APIError where that can't run."""

    def __init__(
        self, client: DockerClient, container: str, hear: Callable[[VehicleStatus | None], None]
    ) -> None:
        made = client.api.exec_create(container, list(STATUS_STREAM), stdin=True, stderr=False)
        self._socket: Any = client.api.exec_start(made["Id"], socket=True)
        self._hear = hear
        self._thread = threading.Thread(target=self._read, name="status-stream", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Hang up, which ends the process."""
        with suppress(OSError):
            self._socket._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        rest = b""
        with suppress(OSError, SocketError, ValueError):
            for stream, piece in frames_iter(self._socket, tty=False):
                if stream != STDOUT:
                    continue
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._hear(status_from_json(json.loads(line)))
        self._hear(None)  # with the container ends what it said
