"""The paper's Figs. 13 and 14: how fast N vehicles at once download and upload a file.

Every host has a network namespace of its own and sends and receives 40 Mbit/s at most, as in the
paper. A download begins with the file on one server. With SFTP all vehicles get it from there; with
Bift each vehicle that has a part serves it. An upload is a file of each vehicle's own: with SFTP to
the server, with Bift it is publishing, into the vehicle's own storage. A vehicle's speed is the
file's size by its own seconds. Every file is fresh noise, and what came is compared with it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Protocol

from bift_ros.benchmarks.sharing_backends import BACKENDS, SERVER
from bift_ros.benchmarks.sharing_host import Host, HostError
from bift_ros.benchmarks.sharing_sftp import REMEDY, missing_programs
from bift_ros.fleet.runtimes.network import FleetNetwork, NetworkError, fleet_network
from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.storage.interface import StorageError
from bift_ros.storage.kubo.daemon import find_ipfs

DIRECTIONS = ("download", "upload")
MBIT_PER_S = 40.0
"""The paper's bandwidth, here of every host."""

_AT_ONCE = 4
"""Hosts that are opened at a time: Kubo's start takes much of a core."""
_LEAD = 0.3
"""Seconds from giving jobs out to their common beginning."""


class Note(Protocol):
    """Is told what goes on, and (`lasting`) what can't be done here."""

    def __call__(self, text: str, lasting: bool = False) -> None:
        """Say it."""


class SharingError(Exception):
    """The experiment can't go on; says what to do."""


@dataclass(frozen=True)
class Row:
    """One point of a figure."""

    backend: str
    direction: str
    clients: int
    mb_per_s: float
    """Mean over the clients, of 10^6 bytes."""
    over_sftp: float | None
    """`mb_per_s` by SFTP's; None where there is no SFTP here."""
    mbit_per_s: float | None
    """What each host's link was shaped to; None: it was not."""


class Fleet:
    """One backend's hosts: the server, and vehicles as they are needed."""

    def __init__(self, backend: str, folder: Path, network: FleetNetwork, note: Note) -> None:
        self._backend, self._folder, self._network, self._note = backend, folder, network, note
        self._hosts: list[Host] = []
        self._processes: list[Host] = []  # those that are being opened, too
        folder.mkdir()

    def close(self) -> None:
        """End every host."""
        for host in self._processes:
            host.let_go()
        for host in self._processes:
            host.stop()

    def grow(self, clients: int) -> None:
        """Have the server and this many vehicles at least."""
        if not self._hosts:
            self._open([SERVER])
        while len(self._hosts) <= clients:
            first = len(self._hosts)
            last = min(clients, first + _AT_ONCE - 1)
            self._note(f"{self._backend}: opening {last} of {clients}")
            self._open([vehicle_name(number) for number in range(first, last + 1)])

    def download(self, file: Path, clients: int) -> list[float]:
        """Seconds of each vehicle that gets a file of the server's."""
        server, *vehicles = self._hosts[: clients + 1]
        server.ask("publish", str(file))
        name = server.answer()["result"]
        providers = [host.address for host in (server, *vehicles)]
        targets = [self._folder / f"{file.name}.{host.name}" for host in vehicles]
        at = time.monotonic() + _LEAD
        for host, target in zip(vehicles, targets, strict=True):
            host.ask("fetch", name, providers, str(target), at=at)
        seconds = [host.answer()["seconds"] for host in vehicles]
        for target in targets:
            _compare(target, file)
        return seconds

    def upload(self, files: Sequence[Path]) -> list[float]:
        """Seconds of each vehicle that publishes a file; then they have to be there."""
        server, *vehicles = self._hosts[: len(files) + 1]
        at = time.monotonic() + _LEAD
        for host, file in zip(vehicles, files, strict=True):
            host.ask("publish", str(file), at=at)
        answers = [host.answer() for host in vehicles]
        target = self._folder / "check"
        for host, file, answer in zip(vehicles, files, answers, strict=True):
            # Bift's files stay where they are; that others get them is tried with the first.
            keeper = server if self._backend == "sftp" or host is vehicles[0] else host
            keeper.ask("fetch", answer["result"], [host.address], str(target))
            keeper.answer()
            _compare(target, file)
        return [answer["seconds"] for answer in answers]

    def _open(self, names: Sequence[str]) -> None:
        others = [host.address for host in self._hosts]
        opening = []
        for name in names:
            namespace = self._network.namespaces[name]
            address = self._network.address_of(name)
            host = Host(self._backend, self._folder / name, address, namespace, others)
            self._processes.append(host)
            opening.append(host)
        for host in opening:
            host.opened()
        self._hosts += opening


def run(clients: Sequence[int], size: int, note: Note) -> Iterator[Row]:
    """Measure each backend and direction with each number of clients, files of `size` bytes.

    One backend after another, SFTP first. Raises SharingError.
    """
    backends = available(note)
    names = [SERVER, *(vehicle_name(number) for number in range(1, max(clients) + 1))]
    sftp: dict[tuple[str, int], float] = {}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bift-sharing-") as home,
            fleet_network(names) as network,
        ):
            shaped = _shape(network, note)
            for backend in backends:
                fleet = Fleet(backend, Path(home, backend), network, note)
                with closing(fleet):
                    for number in sorted(set(clients)):
                        fleet.grow(number)
                        for direction in DIRECTIONS:
                            note(f"{backend}: {direction} by {number}")
                            seconds = _measure(fleet, direction, Path(home), number, size)
                            speed = mean(size / 1e6 / taken for taken in seconds)
                            if backend == "sftp":
                                sftp[direction, number] = speed
                            beside = sftp.get((direction, number))
                            over = None if beside is None else round(speed / beside, 2)
                            speed = round(speed, 3)
                            yield Row(backend, direction, number, speed, over, shaped)
    except (NetworkError, HostError) as error:
        raise SharingError(str(error)) from error


def available(note: Note) -> list[str]:
    """The backends that can run here; `note` is told of the others, and the remedy."""
    here = list(BACKENDS)
    if missing := missing_programs():
        here.remove("sftp")
        note(f"without SFTP, there is no {', '.join(missing)}: {REMEDY}", lasting=True)
    try:
        find_ipfs()
    except StorageError as error:
        here.remove("kubo")
        note(f"without Kubo: {error}", lasting=True)
    return here


def _shape(network: FleetNetwork, note: Note) -> float | None:
    try:
        network.shape(MBIT_PER_S)
    except NetworkError as error:
        note(f"{error}; going on with links of any speed", lasting=True)
        return None
    return MBIT_PER_S


def _measure(fleet: Fleet, direction: str, home: Path, clients: int, size: int) -> list[float]:
    with tempfile.TemporaryDirectory(dir=home, prefix="files-") as folder:
        count = 1 if direction == "download" else clients
        files = [Path(folder, f"file{number}") for number in range(count)]
        for file in files:
            file.write_bytes(os.urandom(size))
        os.sync()  # what a run before left to write is not this one's affair
        if direction == "download":
            return fleet.download(files[0], clients)
        return fleet.upload(files)


def _compare(came: Path, file: Path) -> None:
    """Raise SharingError where a file that came is not the one that was sent; then remove it."""
    if _digest(came) != _digest(file):
        raise SharingError(f"{came.name} came, but not as it was sent")
    came.unlink()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
