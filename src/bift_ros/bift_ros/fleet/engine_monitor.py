"""Hears a fleet in containers from outside of its network.

The host has no place in that network, and DDS would find nobody from the engine's side of the
bridge. A container that listens, or a command in one, would add a DDS participant to thirty, and
take seconds to discover them. But every vehicle writes its status into a file for its health
check: the engine hands that out in milliseconds, of each vehicle for itself, whatever becomes of
the network. `bift system show` in any of the containers still tells what the vehicles hear.
"""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.client import DockerClient
from docker.errors import APIError
from requests.exceptions import RequestException

from bift_ros.fleet.containers import VEHICLE_LABEL
from bift_ros.fleet.health import OLDEST_SECONDS, STATUS_FILE

_PERIOD_SECONDS = 0.5
"""As often as vehicles write."""
_AT_ONCE = 4


class EngineMonitor:
    """Reads the status of every container of the fleet again and again, on a thread of its own."""

    def __init__(self, client: DockerClient, filters: Mapping[str, list[str]]) -> None:
        """`filters`: what the engine finds the fleet's containers by."""
        self._client, self._filters = client, dict(filters)
        self._changed = threading.Condition()
        self._vehicles: dict[str, dict[str, Any]] = {_vehicle(c): {} for c in self._find()}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-monitor", daemon=True)
        self._thread.start()

    @property
    def vehicles(self) -> Mapping[str, Mapping[str, Any]]:
        """The newest status of each vehicle by name; empty for one that doesn't speak."""
        with self._changed:
            return dict(self._vehicles)

    def wait(self, condition: Callable[[dict[str, dict[str, Any]]], bool], timeout: float) -> bool:
        """Wait until the statuses fulfil a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._vehicles), timeout)

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._closing.wait(_PERIOD_SECONDS):
                try:
                    found = self._find()
                    said = dict(zip(map(_vehicle, found), pool.map(self._read, found), strict=True))
                except (APIError, RequestException):
                    said = {}  # the engine restarts, or is gone: nobody speaks
                with self._changed:
                    self._vehicles = dict(sorted(said.items()))
                    self._changed.notify_all()

    def _find(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.api.containers(all=True, filters=self._filters)
        return found

    def _read(self, container: Mapping[str, Any]) -> dict[str, Any]:
        if container["State"] != "running":
            return {}
        try:
            pieces, _ = self._client.api.get_archive(container["Id"], STATUS_FILE)
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
                (member,) = tar.getmembers()
                content = tar.extractfile(member)
                if content is None or time.time() - member.mtime > OLDEST_SECONDS:
                    return {}
                status: dict[str, Any] = json.load(content)
                return status
        except (APIError, RequestException):
            return {}  # it has not spoken yet, or has just ended


def _vehicle(container: Mapping[str, Any]) -> str:
    return str(container["Labels"][VEHICLE_LABEL])
