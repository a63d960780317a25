"""``./bift bench longrun``: what a fleet takes on disk and in memory over many iterations.

Some peers in one process, in virtual time, over what vehicles have: a chain database on disk and
the embedded store, which fetch from one another over HTTP. Only training is made up, as in the
simulation; the updates are as large as those of the default model. What is measured is the
vehicles' folders and the process's resident memory.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bift_ros.benchmarks import memory
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import MIN_NONCE, Header
from bift_ros.consensus.genesis import Policy
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.quorums import Quorum
from bift_ros.peer import effects, events
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.machine import Peer
from bift_ros.pofl.codec import MODEL_EXPONENT, UPDATE_EXPONENT, ModelSpec, TensorSpec, encode_model
from bift_ros.pofl.files import serialize_model, serialize_update
from bift_ros.simulation.consortium import Consortium
from bift_ros.simulation.event_queue import EventQueue
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import StorageError

_SPEC = ModelSpec((TensorSpec("weights", (56_000,)),))
"""As many parameters as the default model has."""
_DELAY_MS, _TICK_MS, _TRAINING_MS = 20, 250, 500
_MOST_MS = 60_000
"""An iteration takes a few seconds; a fleet that takes so long has stopped."""


def run(vehicles: int, iterations: int, storage_mb: int, every: int) -> Iterator[dict[str, Any]]:
    """Give what it takes after each so many iterations; ends early where the fleet stops."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        fleet = _Fleet(vehicles, storage_mb, Path(folder), stack)
        fleet.propose(iterations)
        for iteration in range(1, iterations + 1):
            if not fleet.reaches(iteration):
                yield {"bench": "longrun", "stopped_at": iteration - 1}
                return
            if iteration % every == 0:
                gc.collect()
                yield {"bench": "longrun", "iteration": iteration, **fleet.taken()}


class _Fleet:
    def __init__(self, size: int, storage_mb: int, folder: Path, stack: ExitStack) -> None:
        policy = Policy(difficulty=0, update_wait_ms=1_000, plain_interval_ms=0)
        self.members = Consortium(size, policy, chain="bench", secret="bench {}")
        self.queue = EventQueue()
        self.folder = folder
        self.model = serialize_model(
            _SPEC, encode_model(np.linspace(-1, 1, _SPEC.size)), MODEL_EXPONENT
        )
        self.vehicles = [
            _Vehicle(self, number, storage_mb, folder / str(number), stack)
            for number in range(size)
        ]
        for vehicle in self.vehicles:
            vehicle.start()

    def propose(self, iterations: int) -> None:
        """Have the first vehicle propose the task."""
        first = self.vehicles[0]
        cid = first.keep(self.model)
        architecture = PeerConfig().allowed_architectures[0]
        task = ProposeTask("long", cid, iterations, "multi_krum", architecture, 1, 10, 0.01, "adam")
        first.take(events.Submit(task))

    def reaches(self, iteration: int) -> bool:
        """Let time pass until every vehicle has finished an iteration; False where none does."""
        end = self.queue.now + _MOST_MS
        while any(vehicle.iterations < iteration for vehicle in self.vehicles):
            if self.queue.now >= end:
                return False
            self.queue.run_until(self.queue.now + _TICK_MS)
            for vehicle in self.vehicles:
                vehicle.take(events.Tick())
        for vehicle in self.vehicles:
            vehicle.finalize()
        return True

    def taken(self) -> dict[str, float]:
        """What the fullest vehicle has on disk, and what all have in memory; MiB."""
        disk = [_size(self.folder / str(n)) for n in range(len(self.vehicles))]
        chains = [_size(self.folder / str(n), "chain.*") for n in range(len(self.vehicles))]
        return {
            "disk_mib": round(max(disk) / 2**20, 2),
            "chain_mib": round(max(chains) / 2**20, 2),
            "memory_mib": round(memory.resident() / 2**20, 1),
        }


class _Vehicle:
    """Carries out one peer's effects, over a real database and a real store."""

    def __init__(
        self, fleet: _Fleet, number: int, storage_mb: int, folder: Path, stack: ExitStack
    ) -> None:
        genesis = fleet.members.genesis
        self._fleet, self._number = fleet, number
        store = stack.enter_context(closing(ChainStore(folder / "chain.db", genesis)))
        self._storage = stack.enter_context(
            closing(EmbeddedStorage(folder / "storage", max_bytes=storage_mb << 20))
        )
        self._chain = Blockchain(genesis, store)
        key = fleet.members.keys[number]
        self.address = key.address
        self._peer = Peer(key, genesis, self._chain, PeerConfig(), self._storage.url)
        self._mining: Header | None = None
        self._training: effects.TrainingRequest | None = None

    @property
    def iterations(self) -> int:
        """How many are finished."""
        task = self._peer.state.latest_task
        return task.current_iter if task is not None else 0

    def start(self) -> None:
        """Begin to take part."""
        self._carry_out(self._peer.start(self._time))
        self.take(events.DatasetChanged(100))

    def take(self, event: events.Event) -> None:
        """Give the peer an event, and have done what it says."""
        self._carry_out(self._peer.handle(event, self._time))

    def finalize(self) -> None:
        """Take all members' votes for what this vehicle stands on."""
        certificate = self._fleet.members.certificate(self._chain.tip_state)
        self._chain.finalize(Quorum.from_bytes(certificate))

    def keep(self, data: bytes) -> str:
        """Put a file into the store and pin it; its CID."""
        cid = self._storage.put(data)
        self._storage.pin(cid)
        return cid

    @property
    def _time(self) -> Time:
        return Time(self._fleet.queue.now, self._fleet.queue.now)

    def _carry_out(self, todo: Sequence[effects.Effect]) -> None:
        for effect in todo:
            self._do(effect)

    def _do(self, effect: effects.Effect) -> None:
        after = self._fleet.queue.after
        match effect:
            case effects.BroadcastTransaction(transaction):
                self._tell(events.TransactionReceived(transaction))
            case effects.BroadcastBlock(block):
                self._tell(events.BlockReceived(block))
            case effects.AnnounceTip(tip):
                self._tell(events.TipReceived(tip))
            case effects.Fetch():
                after(_DELAY_MS, self._fetch, effect)
            case effects.Put(_, data, pinned):
                self._try(lambda: self.keep(data) if pinned else self._storage.put(data))
            case effects.Pin(cids):
                self._each(cids, self._storage.pin)
            case effects.Unpin(cids):
                self._each(cids, self._storage.unpin)
            case effects.Discard(cids):
                self._each(cids, self._storage.discard)
            case effects.Train(request):
                self._training = request
                after(_TRAINING_MS, self._trained, request)
            case effects.CancelTraining():
                self._training = None
            case effects.Mine(header):
                self._mining = header
                after(_DELAY_MS * (1 + self._number), self._mined, header)
            case effects.StopMining():
                self._mining = None
            case _:
                pass  # nobody is ever behind

    def _tell(self, event: events.Event) -> None:
        for other in self._fleet.vehicles:
            if other is not self:
                self._fleet.queue.after(_DELAY_MS, other.take, event)

    def _fetch(self, wanted: effects.Fetch) -> None:
        try:
            data = self._storage.get(wanted.cid, wanted.providers, largest=wanted.largest)
        except StorageError as error:
            self.take(events.FetchFailed(wanted.cid, str(error)))
        else:
            self.take(events.FileFetched(wanted.cid, data))

    def _trained(self, request: effects.TrainingRequest) -> None:
        if self._training is not request:
            return
        self._training = None
        draw = np.random.default_rng([self._number, request.iteration])
        update = draw.integers(-100, 100, _SPEC.size).astype(np.int16)
        try:
            cid = self.keep(serialize_update(_SPEC, update, UPDATE_EXPONENT))
        except StorageError as error:
            self.take(events.TrainingFailed(request, str(error)))
        else:
            self.take(events.Trained(request, cid, 0.5, 100))

    def _mined(self, header: Header) -> None:
        if self._mining is header:
            self._mining = None
            found = search(header, MIN_NONCE, 1_000)
            assert found is not None, "there is no work"
            self.take(events.NonceFound(found))

    def _each(self, cids: Sequence[str], change: Callable[[str], None]) -> None:
        for cid in cids:
            self._try(lambda cid=cid: change(cid))  # type: ignore[misc]

    @staticmethod
    def _try(change: Callable[[], object]) -> None:
        """As a vehicle does, go on where the store is full or has no such file."""
        with suppress(StorageError):
            change()


def _size(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())
