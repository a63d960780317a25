"""The fleet's current global model, fetched from its vehicles for an observer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bift_ros.chain.encryption import OVERHEAD, EncryptionError, key_name
from bift_ros.pofl.files import MAX_MODEL_BYTES
from bift_ros.storage.interface import Storage, StorageError

_RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class GlobalModel:
    """One model of a task, or why it can't be used."""

    cid: str
    iteration: int
    """Iterations of the task that are done; 0 for the initial model."""
    file: bytes | None = None
    """Checked against the CID; None where there is a problem."""
    problem: str = ""


class ModelFollower:
    """Keeps up with the newest global model; what is there meanwhile is the one before.

    An encrypted model stays closed: only members have the fleet's key.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="global-model")
        self._lock = threading.Lock()
        self._busy = False
        self._retry_at = 0.0
        self._current: GlobalModel | None = None

    @property
    def current(self) -> GlobalModel | None:
        """The newest model that came or failed; None before the first."""
        with self._lock:
            return self._current

    def follow(self, cid: str, iteration: int, providers: Sequence[str]) -> None:
        """Begin to fetch a model unless it is here; call it as often as there is news."""
        with self._lock:
            known = self._current
            if known is not None and known.cid == cid:
                wanted = known.file is None and time.monotonic() >= self._retry_at
            else:
                wanted = bool(cid)
            if not wanted or self._busy:
                return
            self._busy = True
        self._pool.submit(self._fetch, cid, iteration, tuple(providers))

    def close(self) -> None:
        """Stop fetching; close the storage first, so that nothing keeps it waiting."""
        self._pool.shutdown()

    def _fetch(self, cid: str, iteration: int, providers: Sequence[str]) -> None:
        try:
            file = self._storage.get(cid, providers, largest=MAX_MODEL_BYTES + OVERHEAD)
        except StorageError as error:
            model = GlobalModel(cid, iteration, problem=f"can't be fetched: {error}")
        else:
            model = _opened(cid, iteration, file)
        with self._lock:
            self._current, self._busy = model, False
            self._retry_at = time.monotonic() + _RETRY_SECONDS


def _opened(cid: str, iteration: int, file: bytes) -> GlobalModel:
    try:
        key_name(file)
    except EncryptionError:
        return GlobalModel(cid, iteration, file)
    return GlobalModel(cid, iteration, problem="is encrypted for the fleet's members")
