"""A fleet of real peers in one process and in virtual time; nothing here draws a random number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_ros.admission.answers import HEADERS_PER_ANSWER
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.chain.verification import blocks_of
from bift_ros.consensus.blocks import MIN_NONCE, Block, Header, ModelInfo, SignedHeader
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.state import State
from bift_ros.peer import effects, events
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.group_keys import keys_before
from bift_ros.peer.machine import Peer
from bift_ros.peer.snapshots import offer_of
from bift_ros.peer.voting import quorums_above
from bift_ros.simulation.consortium import START_MS
from bift_ros.simulation.event_queue import EventQueue
from bift_ros.simulation.world import INITIAL_MODEL, train
from bift_ros.storage.cid import cid_of
from world.consortium import DEFAULTS, LearningConsortium

DELAY_MS = 20
TICK_MS = 250
TRAINING_MS = 2_000
HASH_MS = 20

Link = Callable[["Vehicle", "Vehicle", events.Event], "int | None"]
"""The delay in ms of an event from one vehicle to another; None where it is lost."""


class Vehicle:
    """Carries out one peer's effects."""

    def __init__(self, fleet: Fleet, number: int, config: PeerConfig) -> None:
        self.fleet, self.number, self.config = fleet, number, config
        self.key = fleet.world.keys[number]
        self.address = self.key.address
        self.store = ChainStore(":memory:", fleet.world.genesis)
        self.files: dict[str, bytes] = {}
        self.pins: set[str] = set()
        self.online = True
        self.samples = 100
        self.log: list[tuple[int, effects.Effect]] = []
        self.received: list[events.Event] = []
        self.give_headers: Callable[[int], list[SignedHeader] | None] = self.honest_headers
        """Answers `GetHeaders`; None is no answer."""
        self.give_blocks: Callable[[tuple[bytes, ...]], list[Block] | None] = self.honest_blocks
        """Answers `GetBlocks`; None is no answer."""
        self.give_snapshot: Callable[[], tuple[bytes, str]] = lambda: offer_of(self.chain)
        """Answers `GetSnapshot`."""
        self.boot()

    @property
    def url(self) -> str:
        return f"memory://{self.number}"

    @property
    def state(self) -> State:
        return self.peer.state

    def boot(self) -> None:
        """A new peer over the chain in the store, as after a crash: all else is forgotten."""
        self.online = True
        self._training: effects.TrainingRequest | None = None
        self._mining: Header | None = None
        self._tip: events.TipReceived | None = None
        self.chain = Blockchain(self.fleet.world.genesis, self.store)
        genesis = self.fleet.world.genesis
        self.peer = Peer(self.key, genesis, self.chain, self.config, self.url)
        self._carry_out(self.peer.start(self.fleet.time))
        if self.samples:
            self.take(events.DatasetChanged(self.samples))

    def crash(self) -> None:
        self.online = False

    def take(self, event: events.Event) -> None:
        if self.online:
            self._carry_out(self.peer.handle(event, self.fleet.time))

    @property
    def models(self) -> list[ModelInfo]:
        """What the chain's model blocks have brought."""
        infos = (block.body.model_info for block in blocks_of(self.store))
        return [info for info in infos if info is not None]

    def effects(self, kind: type) -> list[Any]:
        return [effect for _, effect in self.log if isinstance(effect, kind)]

    def honest_headers(self, from_height: int) -> list[SignedHeader] | None:
        return self.chain.canonical_headers(from_height, HEADERS_PER_ANSWER)

    def honest_blocks(self, hashes: tuple[bytes, ...]) -> list[Block] | None:
        return [block for name in hashes if (block := self.chain.block(name)) is not None]

    def greet(self, other: Vehicle) -> None:
        """Give a late joiner the last tip, as a transient-local topic does."""
        if self._tip is not None:
            self.fleet.send(self, other, self._tip)

    def _carry_out(self, wanted: list[effects.Effect]) -> None:
        for effect in wanted:
            self.log.append((self.fleet.now, effect))
            self._do(effect)

    def _do(self, effect: effects.Effect) -> None:
        match effect:
            case effects.BroadcastTransaction(transaction):
                self._broadcast(events.TransactionReceived(transaction))
            case effects.BroadcastBlock(block):
                self._broadcast(events.BlockReceived(block))
            case effects.AnnounceTip(tip):
                self._tip = events.TipReceived(tip)
                self._broadcast(self._tip)
            case effects.RequestHeaders(peer, from_height, final_height, justified_round):
                other = self.fleet.by_address[peer]
                headers = other.give_headers(from_height)
                if self._answers(other) and headers is not None:
                    quorums = quorums_above(other.chain, final_height, justified_round)
                    answer = events.HeadersAnswered(peer, tuple(headers), tuple(quorums))
                    self.fleet.send(other, self, answer)
            case effects.RequestBlocks(peer, hashes):
                self._request_blocks(self.fleet.by_address[peer], hashes)
            case effects.RequestKeys(peer, before):
                other = self.fleet.by_address[peer]
                if self._answers(other):
                    keys = events.KeysAnswered(peer, *keys_before(other.state, before))
                    self.fleet.send(other, self, keys)
            case effects.RequestSnapshot(peer):
                other = self.fleet.by_address[peer]
                if self._answers(other):
                    offer = events.SnapshotAnswered(peer, *other.give_snapshot())
                    self.fleet.send(other, self, offer)
            case effects.Put(cid, data, pinned):
                self.files[cid] = data
                self.pins |= {cid} if pinned else set()
            case effects.Pin(cids):
                self.pins |= set(cids) & self.files.keys()
            case effects.Unpin(cids):
                self.pins -= set(cids)
            case effects.Discard(cids):
                for cid in set(cids) - self.pins:
                    self.files.pop(cid, None)
            case effects.Fetch():
                self.fleet.after(DELAY_MS, lambda: self._fetch(effect))
            case effects.Train(request):
                self._training, begun = request, self.state
                self.fleet.after(TRAINING_MS, lambda: self._trained(request, begun))
            case effects.CancelTraining():
                self._training = None
            case effects.Mine(header):
                self._mine(header)
            case effects.StopMining():
                self._mining = None
            case _:
                pass

    def _broadcast(self, event: events.Event) -> None:
        for other in self.fleet.vehicles:
            if other is not self:
                self.fleet.send(self, other, event)

    def _answers(self, other: Vehicle) -> bool:
        return other.online and self.fleet.delay(other, self, events.Tick()) is not None

    def _request_blocks(self, other: Vehicle, hashes: tuple[bytes, ...]) -> None:
        blocks = other.give_blocks(hashes)
        if blocks is None or not self._answers(other):
            return
        for block in blocks:
            self.fleet.send(other, self, events.BlockReceived(block))
        self.fleet.send(other, self, events.BlocksAnswered(other.address))

    def _fetch(self, wanted: effects.Fetch) -> None:
        cid = wanted.cid
        urls = {vehicle.url: vehicle for vehicle in self.fleet.vehicles}
        for vehicle in (self, *(urls[url] for url in wanted.providers if url in urls)):
            reachable = (
                vehicle is self or self.fleet.delay(vehicle, self, events.Tick()) is not None
            )
            if vehicle.online and reachable and len(vehicle.files.get(cid, b"")) > wanted.largest:
                self.take(events.FetchFailed(cid, "it is larger", final=True))
                return
            if vehicle.online and reachable and cid in vehicle.files:
                self.files[cid] = vehicle.files[cid]
                self.take(events.FileFetched(cid, vehicle.files[cid]))
                return
        self.take(events.FetchFailed(cid, "nobody has it"))

    def _trained(self, request: effects.TrainingRequest, begun: State) -> None:
        if self._training is not request:
            return
        self._training = None
        update = self.fleet.make_update(self, request)
        data = self.peer.encrypt(begun, update)
        cid = cid_of(data)
        self.files[cid] = data
        self.pins.add(cid)
        self.take(events.Trained(request, cid, 0.5 + self.number / 100, self.samples))

    def _mine(self, header: Header) -> None:
        self._mining = header
        start = MIN_NONCE + self.number * 2**20
        found = search(header, start, 10_000)
        assert found is not None
        self.fleet.after((found.nonce - start + 1) * HASH_MS, lambda: self._found(header, found))

    def _found(self, header: Header, found: Header) -> None:
        if self._mining is header:
            self._mining = None
            self.take(events.NonceFound(found))


class Fleet:
    """Vehicles, the network between them, and the clock."""

    def __init__(
        self,
        size: int = 5,
        *,
        config: PeerConfig = DEFAULTS,
        configs: dict[int, PeerConfig] | None = None,
        without_data: tuple[int, ...] = (),
        **policy: Any,
    ) -> None:
        self.world = LearningConsortium(size, **policy)
        self.queue = EventQueue()
        self.queue.now = START_MS + 1_000
        self.after = self.queue.after
        self.groups: list[set[int]] = []
        self.link: Link = lambda sender, receiver, event: DELAY_MS
        self.make_update: Callable[[Vehicle, effects.TrainingRequest], bytes] = honest_update
        self.vehicles: list[Vehicle] = []
        self.by_address: dict[str, Vehicle] = {}
        for number in range(size):
            vehicle = Vehicle(self, number, (configs or {}).get(number, config))
            vehicle.samples = 0 if number in without_data else 100
            self.vehicles.append(vehicle)
            self.by_address[vehicle.address] = vehicle
        for vehicle in self.vehicles:
            vehicle.boot()
            self._tick(vehicle)

    @property
    def now(self) -> int:
        return self.queue.now

    @property
    def time(self) -> Time:
        return Time(self.now, self.now)

    def __getitem__(self, number: int) -> Vehicle:
        return self.vehicles[number]

    def send(self, sender: Vehicle, receiver: Vehicle, event: events.Event) -> None:
        delay = self.delay(sender, receiver, event)
        if delay is not None and sender.online:
            self.after(delay, lambda: self._arrive(receiver, event))

    def delay(self, sender: Vehicle, receiver: Vehicle, event: events.Event) -> int | None:
        for group in self.groups:
            if (sender.number in group) != (receiver.number in group):
                return None
        return self.link(sender, receiver, event)

    def partition(self, *groups: set[int]) -> None:
        self.groups = list(groups)

    def heal(self) -> None:
        """One network again; every vehicle hears where the others stand."""
        self.groups = []
        for vehicle in self.vehicles:
            self.introduce(vehicle)

    def introduce(self, vehicle: Vehicle) -> None:
        for other in self.vehicles:
            if other is not vehicle:
                other.greet(vehicle)

    def propose(self, by: int = 0, **changes: Any) -> None:
        """A member proposes a task; the initial model lies in its storage."""
        proposer, model = self[by], INITIAL_MODEL
        file = proposer.peer.encrypt(proposer.state, model)
        proposer.files[cid_of(file)] = file
        proposer.take(events.Submit(self.world.proposal(**{"init_cid": cid_of(file), **changes})))

    def run(self, ms: int) -> None:
        self.queue.run_until(self.now + ms)

    def run_until(self, condition: Callable[[], bool], within_ms: int = 120_000) -> None:
        end = self.now + within_ms
        while not condition():
            assert self.now < end, f"not within {within_ms} ms: {self.describe()}"
            self.run(TICK_MS)

    def iterations(self, vehicle: Vehicle) -> int:
        task = vehicle.state.latest_task
        return task.current_iter if task is not None else 0

    def all_reach(self, iterations: int) -> bool:
        """Whether all vehicles that are online stand on one tip with this many iterations."""
        online = [vehicle for vehicle in self.vehicles if vehicle.online]
        one_tip = len({vehicle.state.tip_hash for vehicle in online}) == 1
        return one_tip and all(self.iterations(vehicle) >= iterations for vehicle in online)

    def describe(self) -> str:
        return ", ".join(
            f"{v.number}: block {v.state.height} {v.state.tip_hash.hex()[:6]}, "
            f"iteration {self.iterations(v)}"
            for v in self.vehicles
        )

    def _tick(self, vehicle: Vehicle) -> None:
        vehicle.take(events.Tick())
        self.after(TICK_MS, lambda: self._tick(vehicle))

    @staticmethod
    def _arrive(receiver: Vehicle, event: events.Event) -> None:
        if receiver.online:
            receiver.received.append(event)
            receiver.take(event)


def honest_update(vehicle: Vehicle, request: effects.TrainingRequest) -> bytes:
    base = vehicle.peer.decrypt(vehicle.files[request.base_cid])
    return train(base, vehicle.number, request.iteration)
