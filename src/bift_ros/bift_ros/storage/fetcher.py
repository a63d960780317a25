"""Gets the blocks of any number of files from several vehicles at once."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from bift_ros.storage.errors import StorageError
from bift_ros.storage.fetch import Fetch
from bift_ros.storage.interface import FileRequest
from bift_ros.storage.members import MemberAddresses
from bift_ros.storage.networks import Networks
from bift_ros.storage.traffic import ByteCount

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 256
"""Requests of one fetcher at a time, all files together."""


class Fetcher:
    """Fetches blocks of files, for any number of threads at once."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self.members = MemberAddresses()
        """Where the providers are of all that was asked for."""
        self._pool = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="fetcher")
        self._mutex = threading.Lock()
        self._fetches: set[Fetch] = set()
        self._closed = False
        self.fetched = ByteCount()
        """Of all files."""

    @contextmanager
    def fetch(self, request: FileRequest) -> Iterator[Fetch]:
        """Begin to fetch a file; providers that had to be skipped are logged."""
        fetch = Fetch(request, self._pool, self.fetched, self._connect)
        with self._mutex:
            if self._closed:
                raise StorageError("the store is closed")
            self._fetches.add(fetch)
        for provider in fetch.providers:
            self._note(provider.host)
        try:
            yield fetch
            for url, reason in fetch.skipped.items():
                log.warning("fetching %s: provider %s was skipped: %s", request.root, url, reason)
        finally:
            with self._mutex:
                self._fetches.discard(fetch)
            fetch.end()

    def _connect(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._networks.connect(host, port, timeout)
        self._note(connection.getpeername()[0])
        return connection

    def _note(self, host: str) -> None:
        with suppress(ValueError):  # a name; its address is known when it is connected to
            if self._networks.admit(host):
                self.members.note(host)

    def close(self) -> None:
        """Abandon what is being fetched; harmless when repeated."""
        with self._mutex:
            self._closed = True
            for fetch in self._fetches:
                fetch.abandon()
        self._pool.shutdown(wait=False)
