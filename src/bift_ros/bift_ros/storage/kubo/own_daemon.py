"""A vehicle's own Kubo daemon: it starts, stops and, should it die, comes again with the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bift_ros.storage.errors import StorageError
from bift_ros.storage.kubo.api import Unreachable
from bift_ros.storage.kubo.config import KuboSettings
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.storage import KuboStorage
from bift_ros.storage.networks import ORDINARY, Networks

log = logging.getLogger(__name__)

RESTART_DELAY = 5.0
"""Seconds between two attempts to start a daemon that does not start."""
REVIVAL_TIMEOUT = 30.0
"""Seconds that a call waits for a daemon that died to come again; a busy machine needs many."""
RETRY_DELAY = 0.1
"""Seconds between two attempts to reach it; one that is refused costs nothing."""

P = ParamSpec("P")
T = TypeVar("T")


def _persistent(
    method: Callable[Concatenate[KuboStorage, P], T],
) -> Callable[Concatenate[OwnKuboStorage, P], T]:
    """The method, called again where a daemon dies under it, as soon as the next one answers.

    That one may die too, so it is not told apart from one that has not come yet.
    """

    def call(store: OwnKuboStorage, /, *arguments: P.args, **options: P.kwargs) -> T:
        give_up: float | None = None
        while True:
            try:
                return method(store, *arguments, **options)
            except Unreachable:
                now = time.monotonic()
                give_up = give_up or now + REVIVAL_TIMEOUT
                if now >= give_up or store.closing.wait(RETRY_DELAY):
                    raise

    return call


class OwnKuboStorage(KuboStorage):
    """A `Storage` in a daemon that lives as long as it does.

    A call that meets a daemon that has just died waits for the next one and is made again.
    """

    def __init__(
        self,
        repository: Path,
        settings: KuboSettings,
        advertised_host: str,
        networks: Networks = ORDINARY,
    ) -> None:
        """Start a daemon in its folder, made where it is missing. Raises `StorageError`."""
        self._daemon = KuboDaemon(repository)
        self._daemon.stop()  # what an earlier process of this vehicle may have left
        self._daemon.init(settings)
        self._daemon.start(attached=True)
        self.closing = threading.Event()
        self._starting = threading.Lock()
        try:
            super().__init__(self._daemon.api, self._daemon.url(advertised_host), networks=networks)
        except StorageError:
            self._daemon.stop()
            raise
        self._keeper = threading.Thread(target=self._keep, name="kubo-keeper", daemon=True)
        self._keeper.start()

    put = _persistent(KuboStorage.put)
    put_file = _persistent(KuboStorage.put_file)
    get = _persistent(KuboStorage.get)
    get_file = _persistent(KuboStorage.get_file)
    pin = _persistent(KuboStorage.pin)
    unpin = _persistent(KuboStorage.unpin)
    has = _persistent(KuboStorage.has)

    def close(self) -> None:
        """Stop fetching, and the daemon."""
        self.closing.set()
        super().close()
        with self._starting:
            self._daemon.stop()
        self._keeper.join()

    def _keep(self) -> None:
        while True:
            for address, reason in self._daemon.connect_peers().items():
                log.info("not connected to %s yet: %s", address, reason)
            status = self._daemon.wait()
            if self.closing.is_set():
                return
            log.error(
                "the Kubo daemon of %s ended (%s); starting it again",
                self._daemon.repository,
                "killed" if status is None else f"status {status}",
            )
            while not self._start():
                if self.closing.wait(RESTART_DELAY):
                    return

    def _start(self) -> bool:
        with self._starting:
            if self.closing.is_set():
                return True
            try:
                self._daemon.start(attached=True)
            except StorageError as error:
                log.error("%s", error)
                return False
            return True
