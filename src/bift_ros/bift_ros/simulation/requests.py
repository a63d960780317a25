"""What vehicles ask of one another: files, headers, blocks and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_ros.peer.effects import (
    Fetch,
    Request,
    RequestBlocks,
    RequestHeaders,
    RequestKeys,
    RequestSnapshot,
)
from bift_ros.peer.events import (
    BlockReceived,
    BlocksAnswered,
    Event,
    FetchFailed,
    FileFetched,
    HeadersAnswered,
    KeysAnswered,
    SnapshotAnswered,
)
from bift_ros.peer.group_keys import keys_before
from bift_ros.peer.snapshots import offer_of
from bift_ros.simulation.vehicle import Environment, Vehicle
from bift_ros.storage.cid import cid_of

_FETCH_MS = (20, 60)


class Requests:
    """Carries requests and answers; each may get lost."""

    def __init__(self, fleet: Environment) -> None:
        self._queue, self._network, self._archive = fleet.queue, fleet.network, fleet.archive
        self._rng = fleet.random("requests")
        self._by_address = {vehicle.address: vehicle for vehicle in fleet.vehicles}
        self._by_url = {vehicle.url: vehicle for vehicle in fleet.vehicles}

    def request(self, asker: Vehicle, effect: Request) -> None:
        """Carry out what a peer wants of others."""
        match effect:
            case Fetch():
                self._queue.after(self._fetch_ms(), self._fetch, asker, effect)
            case RequestHeaders(peer):
                self._ask(asker, peer, _headers, effect)
            case RequestBlocks(peer, hashes):
                self._ask(asker, peer, self._blocks, hashes)
            case RequestKeys(peer, before):
                self._ask(asker, peer, _keys, before)
            case RequestSnapshot(peer):
                self._ask(asker, peer, _snapshot, None)
            case _:
                raise AssertionError(f"{effect} asks nobody for anything")

    def _ask(self, asker: Vehicle, address: str, answer: Callable[..., None], what: object) -> None:
        other = self._by_address.get(address)
        if other is None or other is asker:
            return
        delay = self._network.delay(asker, other)
        if delay is not None:
            self._network.count_file(0)
            self._queue.after(delay, _answer, asker, other, answer, what)

    def _blocks(self, asker: Vehicle, other: Vehicle, hashes: tuple[bytes, ...]) -> None:
        delay = self._network.delay(other, asker)
        if delay is None:
            return
        blocks = other.blocks(asker, hashes)
        events: list[Event] = [
            *(BlockReceived(block) for block in blocks),
            BlocksAnswered(other.address),
        ]
        for event in events:  # one connection: in order, all or nothing
            self._network.count(event)
            self._queue.after(delay, asker.receive, event)

    def _fetch_ms(self) -> int:
        slow = self._network.slow_ms
        return self._rng.randint(*_FETCH_MS) + (self._rng.randrange(slow) if slow else 0)

    def _fetch(self, asker: Vehicle, wanted: Fetch) -> None:
        if not asker.online:
            return
        cid = wanted.cid
        data = asker.files.get(cid)
        for url in wanted.providers if data is None else ():
            other = self._by_url.get(url)
            if other is None or other is asker or not other.online:
                continue
            if self._network.delay(other, asker) is None:
                continue
            data = other.file(asker, cid)
            if data is not None and self._archive.get(cid) is not data and cid_of(data) != cid:
                data = None
            if data is not None:
                self._network.count_file(min(len(data), wanted.largest))
                break
        if data is None:
            asker.take(FetchFailed(cid, "nobody has it"))
        elif len(data) > wanted.largest:
            asker.take(FetchFailed(cid, f"{len(data)} bytes", final=True))
        elif cid in asker.files or asker.store_file(cid, data):
            asker.take(FileFetched(cid, data))
        else:
            asker.take(FetchFailed(cid, "the store is full"))


def _answer(asker: Vehicle, other: Vehicle, answer: Callable[..., None], what: Any) -> None:
    if other.online:
        answer(asker, other, what)


def _headers(asker: Vehicle, other: Vehicle, asked: RequestHeaders) -> None:
    headers = tuple(other.headers(asker, asked.from_height))
    quorums = tuple(other.quorums(asker, asked.final_height, asked.justified_round))
    other.send(asker, HeadersAnswered(other.address, headers, quorums))


def _keys(asker: Vehicle, other: Vehicle, before: int) -> None:
    keys, left = keys_before(other.peer.state, before)
    other.send(asker, KeysAnswered(other.address, keys, left))


def _snapshot(asker: Vehicle, other: Vehicle, _: None) -> None:
    other.send(asker, SnapshotAnswered(other.address, *offer_of(other.chain)))
