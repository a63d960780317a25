"""The model files that a peer needs in memory, and the ones it is still waiting for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import islice

from bift_ros.peer.effects import Fetch

_MAXIMUM_WANTED = 4096
_MAXIMUM_PROVIDERS = 64
_PAUSES_IF_FINAL = 30
"""A file that can't be had from anyone is asked for again after so many pauses."""


class FileCache:
    """Files by CID; beyond a size in bytes, the least recently used that nobody needs go."""

    def __init__(self, maximum_bytes: int) -> None:
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._maximum_bytes = maximum_bytes
        self._bytes = 0

    def __contains__(self, cid: str) -> bool:
        return cid in self._files

    def __getitem__(self, cid: str) -> bytes:
        self._files.move_to_end(cid)
        return self._files[cid]

    def add(self, cid: str, data: bytes) -> None:
        """Keep a file until `trim`."""
        if cid not in self._files:
            self._files[cid] = data
            self._bytes += len(data)

    @property
    def is_full(self) -> bool:
        """Whether there is more than the size allows."""
        return self._bytes > self._maximum_bytes

    def trim(self, needed: Container[str]) -> None:
        """Drop files down to the size, the needed ones never: they would be fetched at once."""
        for cid in [cid for cid in self._files if cid not in needed]:
            if self._bytes <= self._maximum_bytes:
                return
            self._bytes -= len(self._files.pop(cid))


@dataclass
class _Wanted:
    largest: int
    in_flight: bool
    retry_at: int
    at_once: bool = False
    """Whether what is under way, where it fails, is to be asked for again at once."""


class Fetches:
    """Which files are asked for, from whom, and when to ask again. Times in milliseconds."""

    def __init__(self, retry_ms: int) -> None:
        self._retry_ms = retry_ms
        self._wanted: dict[str, _Wanted] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, cid: str, providers: Iterable[str], largest: int, now: int) -> Fetch | None:
        """Ask for a file; the effect to carry out, or None where it is already under way.

        Of `providers` the first are asked, up to a bound. Where a file is wanted as two things, it
        may be as large as the larger.
        """
        wanted = self._wanted.get(cid)
        if wanted is None:
            if len(self._wanted) >= _MAXIMUM_WANTED and not self._make_room():
                return None
            wanted = self._wanted[cid] = _Wanted(largest, False, now)
        elif largest > wanted.largest:
            wanted.largest, wanted.retry_at, wanted.at_once = largest, now, True
        if wanted.in_flight or now < wanted.retry_at:
            return None
        wanted.in_flight, wanted.at_once = True, False
        asked = dict.fromkeys(islice(providers, _MAXIMUM_PROVIDERS))
        return Fetch(cid, tuple(asked), wanted.largest)

    def arrived(self, cid: str) -> None:
        """The file is here."""
        self._wanted.pop(cid, None)

    def failed(self, cid: str, now: int, *, final: bool = False) -> bool:
        """No provider gave it: to be asked for again later, if still wanted then.

        Returns whether nothing is to be hoped for: it was `final`, and asked for as the largest
        that it may be.
        """
        wanted = self._wanted.get(cid)
        if wanted is None:
            return False
        wanted.in_flight = False
        pause = self._retry_ms * (_PAUSES_IF_FINAL if final else 1)
        wanted.retry_at = now if wanted.at_once else now + pause
        return final and not wanted.at_once

    def ask_again(self, now: int) -> None:
        """Let whatever could not be had be asked for again at once: there are more to ask."""
        for wanted in self._wanted.values():
            wanted.retry_at, wanted.at_once = now, True

    def forget(self) -> None:
        """Stop wanting what is not under way; what is still needed is asked for anew."""
        self._wanted = {cid: wanted for cid, wanted in self._wanted.items() if wanted.in_flight}

    def _make_room(self) -> bool:
        """Give up the oldest that is not under way; False where all are."""
        idle = next((cid for cid, wanted in self._wanted.items() if not wanted.in_flight), None)
        if idle is not None:
            del self._wanted[idle]
        return idle is not None
