"""One simulated vehicle: it carries out its peer's effects in virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bift_ros.chain.blockchain import Blockchain
from bift_ros.consensus.blocks import MIN_NONCE, Block, Header
from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.payloads import Payload
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.state import State
from bift_ros.peer.effects import (
    AnnounceTip,
    BroadcastBlock,
    BroadcastTransaction,
    CancelTraining,
    Effect,
    Fetch,
    Mine,
    Put,
    RequestBlocks,
    RequestHeaders,
    RequestKeys,
    StopMining,
    Train,
    TrainingRequest,
)
from bift_ros.peer.events import (
    BlockReceived,
    BlocksAnswered,
    DatasetChanged,
    Event,
    FetchFailed,
    FileFetched,
    HeadersAnswered,
    KeysAnswered,
    NonceFound,
    Submit,
    Tick,
    TipReceived,
    Trained,
    TransactionReceived,
)
from bift_ros.peer.group_keys import keys_before
from bift_ros.peer.machine import Peer
from bift_ros.simulation.conduct import Conduct
from bift_ros.simulation.memory_store import MemoryStore
from bift_ros.storage.cid import cid_of

if TYPE_CHECKING:
    from bift_ros.simulation.fleet import Fleet

TICK_MS = 2_000
_SAMPLES = 100
_MINE_MS = 1_500
"""Mean time in which the honest fleet together finds a nonce."""
_NONCE_ATTEMPTS = 1_000_000
_TRAIN_MS = (500, 2_500)


class Vehicle:
    """A peer, its clock, its key, and what survives a crash: the store and the files."""

    def __init__(self, fleet: Fleet, number: int, rng: random.Random) -> None:
        self.fleet, self.number, self.rng = fleet, number, rng
        self.key = fleet.world.keys[number]
        self.address = self.key.address
        self.url = f"simulated://{number}"
        self.conduct = Conduct(self)
        self.store = MemoryStore(fleet.world.genesis, self._stored)
        self.files: dict[str, bytes] = {}
        self.offset_ms, self.drift = 0, 0.0
        self.online = False
        self.seen: set[bytes] = set()
        """Transactions whose signatures this vehicle has had to verify."""
        self.tips_heard = self.blocks_checked = self.models_recomputed = 0

    @property
    def honest(self) -> bool:
        """Whether it is no liar."""
        return type(self.conduct) is Conduct

    @property
    def now(self) -> int:
        """What this vehicle's clock says."""
        now = self.fleet.agenda.now
        return now + self.offset_ms + int((now - self.fleet.started) * self.drift)

    def boot(self) -> None:
        """Start a peer over what the store holds, as after a crash."""
        world, scenario = self.fleet.world, self.fleet.scenario
        self.online = True
        self._training: TrainingRequest | None = None
        self._mining: Header | None = None
        self.chain = Blockchain(world.genesis, self.store)
        self.peer = Peer(self.key, world.genesis, self.chain, scenario.config, self.url)
        self.carry_out(self.peer.start(self.now))
        if self.number in self.fleet.trainers:
            self.take(DatasetChanged(_SAMPLES))

    def crash(self) -> None:
        """Lose everything but store, files and key."""
        self.online = False
        self._training = self._mining = None

    def receive(self, event: Event) -> None:
        """A message came in."""
        if not self.online:
            return
        self.conduct.heard(event)
        if type(event) is TipReceived:  # most messages: a peer does nothing about one
            self.tips_heard += 1
            self.carry_out(self.peer.handle(event, self.now))
            return
        if type(event) is TransactionReceived:
            self.seen.add(event.transaction.hash)
        self.take(event)

    def take(self, event: Event) -> None:
        """Give the peer an event, and have done what it says."""
        if not self.online:
            return
        effects = self.peer.handle(event, self.now)
        if effects:
            self.carry_out(effects)
        if self.fleet.invariants is not None:
            self.fleet.invariants.after_event(self)

    def submit(self, payload: Payload) -> str | None:
        """Have the owner say something; the reason why not, where it was refused at once."""
        try:
            self.take(Submit(payload))
        except InvalidTransaction as error:
            return str(error)
        return None

    def tick(self) -> None:
        """Let time pass for the peer."""
        if self.online:
            self.take(Tick())
            self.conduct.act()

    def tell(self, event: Event) -> None:
        """Send to every other vehicle."""
        self.fleet.network.broadcast(self, self.fleet.others(self), event)

    def send(self, receiver: Vehicle, event: Event) -> None:
        """Send to one other vehicle."""
        self.fleet.network.send(self, receiver, event)

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Do what the peer says, as far as this vehicle's conduct goes."""
        for wanted in effects:
            self.fleet.note(self, wanted)
            for effect in self.conduct.effects(wanted):
                self._do(effect)

    def keep(self, data: bytes) -> str:
        """Put a file in this vehicle's storage; its CID."""
        cid = cid_of(data)
        self.files[cid] = data
        self.fleet.archive.setdefault(cid, data)
        return cid

    def keep_model(self, data: bytes, state: State) -> str:
        """Put a model or update into storage as the chain after `state` wants it; its CID."""
        return self.keep(self.peer.encrypt(state, data))

    def _do(self, effect: Effect) -> None:
        fleet = self.fleet
        match effect:
            case AnnounceTip(tip):
                self.conduct.broadcast(TipReceived(tip))
            case BroadcastTransaction(transaction):
                self.conduct.broadcast(TransactionReceived(transaction, self.url))
            case BroadcastBlock(block):
                self.conduct.broadcast(BlockReceived(block, self.url))
            case Fetch(cid, providers):
                fleet.agenda.after(fleet.fetch_ms(self), self._fetch, cid, providers)
            case Put(cid, data):
                self.files[cid] = data
                fleet.archive.setdefault(cid, data)
            case RequestHeaders(peer, from_height):
                fleet.ask(self, peer, self._headers, from_height)
            case RequestBlocks(peer, hashes):
                fleet.ask(self, peer, self._blocks, hashes)
            case RequestKeys(peer, before):
                fleet.ask(self, peer, self._keys, before)
            case Train(request):
                self._training = request
                wait = self.rng.randint(*_TRAIN_MS)
                fleet.agenda.after(wait, self._trained, request, self.peer.state)
            case CancelTraining():
                self._training = None
            case Mine(header):
                self._mining = header
                mean = _MINE_MS * fleet.scenario.vehicles / self.conduct.hash_power
                wait = int(self.rng.expovariate(1 / mean))
                fleet.agenda.after(wait, self._mined, header)
            case StopMining():
                self._mining = None
            case _:
                pass

    def _headers(self, other: Vehicle, from_height: int) -> None:
        headers = tuple(other.conduct.headers(self, from_height))
        other.send(self, HeadersAnswered(other.address, headers))

    def _keys(self, other: Vehicle, before: int) -> None:
        keys, left = keys_before(other.peer.state, before)
        other.send(self, KeysAnswered(other.address, keys, left))

    def _blocks(self, other: Vehicle, hashes: tuple[bytes, ...]) -> None:
        delay = self.fleet.network.delay(other, self)
        if delay is None:
            return
        blocks = other.conduct.blocks(self, hashes)
        events: list[Event] = [
            *(BlockReceived(b, other.url) for b in blocks),
            BlocksAnswered(other.address),
        ]
        for event in events:  # one connection: in order, all or nothing
            self.fleet.network.count(event)
            self.fleet.agenda.after(delay, self.receive, event)

    def _fetch(self, cid: str, providers: tuple[str, ...]) -> None:
        if not self.online:
            return
        data = self.files.get(cid)
        for url in providers if data is None else ():
            other = self.fleet.by_url.get(url)
            if other is None or other is self or not other.online:
                continue
            if self.fleet.network.delay(other, self) is None:
                continue
            data = other.conduct.file(self, cid)
            if data is not None and self.fleet.archive.get(cid) is not data and cid_of(data) != cid:
                data = None
            if data is not None:
                self.fleet.network.count_file(len(data))
                break
        if data is None:
            self.take(FetchFailed(cid, "nobody has it"))
        else:
            self.files[cid] = data
            self.take(FileFetched(cid, data))

    def _trained(self, request: TrainingRequest, begun: State) -> None:
        if self._training is request:
            self._training = None
            cid = self.keep_model(self.conduct.update(request), begun)
            accuracy = 0.5 + self.number / 4000
            self.take(Trained(request, cid, accuracy, _SAMPLES))

    def _mined(self, header: Header) -> None:
        if self._mining is header:
            self._mining = None
            found = search(header, MIN_NONCE + self.rng.getrandbits(40), _NONCE_ATTEMPTS)
            assert found is not None, "the simulation's difficulty is low"
            self.take(NonceFound(found))

    def _stored(self, block: Block) -> None:
        self.blocks_checked += 1
        self.models_recomputed += block.header.model_flag
        self.fleet.stored(self, block)
