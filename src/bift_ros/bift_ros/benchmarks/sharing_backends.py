"""What shares files in the paper's Figs. 13 and 14: Bift's two storages, and SFTP.

Each is opened in a process of its own, in the network namespace of its vehicle, and is told the
addresses of those that were opened before it, the server's first. Connections that a vehicle keeps
open anyway stand before the clock runs: Kubo's to its swarm, and SFTP's login.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from bift_ros.benchmarks.sharing_sftp import SftpClient, SftpServer
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import StorageError
from bift_ros.storage.kubo.config import (
    SWARM_KEY_FILE,
    KuboSettings,
    new_swarm_key,
    read_swarm_key,
    swarm_address,
)
from bift_ros.storage.kubo.own_daemon import OwnKuboStorage

STALL = 120.0
"""Seconds without a block after which a transfer has failed."""
SERVER = "server"
"""Name of the host that has the file at first."""
NEIGHBOURS = 8
"""Vehicles besides the server to which a Kubo daemon connects: it asks every peer for every block,
so with all as peers the asking would cost more than the sending.
"""
_CONNECT_TIMEOUT = 120.0
_POLL = 0.1


class Backend(Protocol):
    """One vehicle's way to share files."""

    address: str
    """What others are told of it."""

    def publish(self, path: Path) -> str:
        """Let others have a file; returns its name for them."""
        ...

    def fetch(self, name: str, providers: Sequence[str], path: Path) -> None:
        """Write a file to `path` that the first of the providers has published."""
        ...

    def close(self) -> None:
        """End it, and all that it started."""
        ...


class _Stored:
    """A vehicle with one of Bift's storages; an address is its gateway's, first of all."""

    def __init__(self, storage: EmbeddedStorage | OwnKuboStorage, address: str) -> None:
        self._storage = storage
        self.address = address

    def publish(self, path: Path) -> str:
        """Put a file into the vehicle's own storage."""
        return self._storage.put_file(path)

    def fetch(self, name: str, providers: Sequence[str], path: Path) -> None:
        """Get it from whoever has it."""
        urls = [provider.split()[0] for provider in providers if provider != self.address]
        self._storage.get_file(name, path, urls, timeout=STALL)

    def close(self) -> None:
        """Close the storage."""
        self._storage.close()


def _embedded(home: Path, host: str, others: Sequence[str]) -> Backend:
    store = EmbeddedStorage(home, host)
    return _Stored(store, store.url)


def _kubo(home: Path, host: str, others: Sequence[str]) -> Backend:
    key = home.parent / SWARM_KEY_FILE
    if home.name == SERVER:
        key.write_text(new_swarm_key())
    known = [other.split()[1] for other in others]
    peers = (*known[:1], *random.sample(known[1:], min(len(known[1:]), NEIGHBOURS)))
    settings = KuboSettings(host=host, swarm_key=read_swarm_key(key), peers=peers, find_peers=False)
    store = OwnKuboStorage(home, settings, host)
    try:
        deadline = time.monotonic() + _CONNECT_TIMEOUT
        while len(store.peers()) < len(peers):
            if time.monotonic() > deadline:
                raise StorageError(f"the Kubo daemon in {home} has not found its swarm")
            time.sleep(_POLL)
    except BaseException:
        store.close()
        raise
    return _Stored(store, f"{store.url} {swarm_address(home, host)}")


def _sftp(home: Path, host: str, others: Sequence[str]) -> Backend:
    return SftpServer(home, host) if home.name == SERVER else SftpClient(others[0])


BACKENDS: dict[str, Callable[[Path, str, Sequence[str]], Backend]] = {
    "sftp": _sftp,
    "embedded": _embedded,
    "kubo": _kubo,
}
"""Open one by its name: in a folder of its own, on an IP address, knowing others' addresses."""
