"""One simulated vehicle: it carries out its peer's effects in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from bift_ros.admission.answers import BLOCKS_PER_ANSWER, HEADERS_PER_ANSWER
from bift_ros.admission.gate import Gate
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.encryption import EncryptionError
from bift_ros.consensus.blocks import MIN_NONCE, Block, Header, SignedHeader
from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.payloads import Payload, ProposeTask
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State
from bift_ros.peer import effects, events
from bift_ros.peer.clock import Time
from bift_ros.peer.machine import Peer
from bift_ros.peer.voting import quorums_above
from bift_ros.simulation.disk import Disk, PowerFailure
from bift_ros.simulation.event_queue import EventQueue
from bift_ros.simulation.faulty_store import FaultyStore
from bift_ros.simulation.network import Network
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.wire import admitted
from bift_ros.simulation.world import TASK, proposal_of, train, world_of
from bift_ros.storage.cid import cid_of

TICK_MS = 2_000
_SAMPLES = 100
_MINE_MS = 1_500
"""Mean time in which the honest fleet together finds a nonce."""
_NONCE_ATTEMPTS = 1_000_000
_TRAIN_MS = (500, 2_500)


class Environment:
    """What the vehicles of one run have in common, and what they tell it."""

    gated: bool
    """Whether messages are bytes, which pass each vehicle's gate."""
    vehicles: list[Vehicle]
    honest: list[Vehicle]
    others: dict[int, list[Vehicle]]
    """By a vehicle's number, every vehicle but that one."""
    request: Callable[[Vehicle, effects.Request], None]
    """Gets a vehicle the file, or another's answer, that its peer wants."""
    note: Callable[[Vehicle, effects.Effect], None]
    """Is told of every effect before it is carried out."""
    stored: Callable[[Vehicle, Block], None]
    """Is told of every block that a vehicle has accepted."""
    handled: Callable[[Vehicle], None]
    """Is told when a vehicle's peer has dealt with an event."""
    raised: Callable[[Vehicle, Exception], None]
    """Is told of an exception that no peer should raise; its vehicle stays down."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        self.world = world_of(scenario)
        self.queue = EventQueue()
        self.started = self.queue.now
        self.network = Network(self.queue, self.random("network"))
        self.archive: dict[str, bytes] = {}
        """Every file that anybody has made, by CID: the invariants' own copy."""
        self.byzantine_files: dict[str, int] = {}
        """Which Byzantine vehicle made a file."""
        self.unnamed: set[str] = set()
        """Files that no block can name."""
        self._rule = self.random("rule").choice(scenario.rules)

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one more draw changes little else."""
        return random.Random(f"{self.seed} {purpose}")

    def proposal(self, init_cid: str, iterations: int = 0, name: str = TASK) -> ProposeTask:
        """A task from the initial model's file: by default the one that this run works on."""
        return proposal_of(self._rule, init_cid, iterations or self.scenario.iterations, name)


class Vehicle(Disk):
    """A peer, its clock, its key, and what survives a crash: the store and the files."""

    hash_power = 1.0
    """How many times an ordinary vehicle's hashes it makes in a second."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet.scenario.store_bytes, fleet.archive)
        self.fleet, self.number, self.rng = fleet, number, rng
        self.genesis = fleet.world.genesis
        self.key = fleet.world.keys[number]
        self.address = self.key.address
        self.url = f"simulated://{number}"
        self.store = FaultyStore(self.genesis, self._stored, self.writing)
        self.offset_ms, self.drift = 0, 0.0
        self.online = self.broken = False
        """Whether it is on; whether it stays off, as its peer has raised what it should not."""
        self.training_fails, self.training_slow_ms = False, 0
        self.seen: set[bytes] = set()
        """Transactions whose signatures this vehicle has had to verify."""
        self.tips_heard = self.blocks_checked = self.models_recomputed = 0

    @property
    def honest(self) -> bool:
        """Whether it keeps to the protocol."""
        return type(self) is Vehicle

    @property
    def now(self) -> int:
        """What this vehicle's clock says."""
        return self.time.wall

    @property
    def time(self) -> Time:
        """What its clocks say: both drift, and one is set."""
        now = self.fleet.queue.now
        steady = now + int((now - self.fleet.started) * self.drift)
        return Time(steady + self.offset_ms, steady)

    def boot(self) -> None:
        """Start a peer over what the store holds, as after a crash."""
        self.online = True
        self._training: effects.TrainingRequest | None = None
        self._mining: Header | None = None
        self.chain = Blockchain(self.genesis, self.store)
        self.peer = Peer(self.key, self.genesis, self.chain, self.fleet.scenario.config, self.url)
        members, state = self.chain.known_members, self.chain.tip_state
        self._gate = Gate(self.genesis, self.address, members, self.chain.has, state)
        self.carry_out(self._handle(None))
        if self.number < self.fleet.scenario.trainers:
            self.take(events.DatasetChanged(_SAMPLES))

    def crash(self) -> None:
        """Lose everything but store, files and key."""
        self.online = False
        self._training = self._mining = None
        self.lose_memory()

    def receive(self, event: events.Event) -> None:
        """A message came in."""
        if not self.online:
            return
        if self.fleet.gated:
            self._gate.state = self.chain.tip_state
            let_in = admitted(self._gate, event, self.fleet.queue.now)
            if isinstance(let_in, effects.Effect):
                self.carry_out([let_in])
            if not isinstance(let_in, events.Event):
                return
            event = let_in
        self.heard(event)
        if type(event) is events.TipReceived:  # most messages: a peer does nothing about one
            self.tips_heard += 1
            self.carry_out(self._handle(event))
            return
        if type(event) is events.TransactionReceived:
            self.seen.add(event.transaction.hash)
        self.take(event)

    def take(self, event: events.Event) -> None:
        """Give the peer an event, and have done what it says."""
        if not self.online:
            return
        effects = self._handle(event)
        if effects:
            self.carry_out(effects)
        self.fleet.handled(self)

    def submit(self, payload: Payload) -> str | None:
        """Have the owner say something; the reason why not, where it was refused at once."""
        if self.address not in self.peer.state.members:
            return "it is no member"
        try:
            self.take(events.Submit(payload))
        except InvalidTransaction as error:
            return str(error)
        return None

    def _handle(self, event: events.Event | None) -> Sequence[effects.Effect]:
        """Give the peer an event, or start it; where it raises what it should not, it is down."""
        try:
            return (
                self.peer.start(self.time) if event is None else self.peer.handle(event, self.time)
            )
        except InvalidTransaction:
            raise
        except PowerFailure:
            self.crash()
            self.lose_files()
        except Exception as error:
            self.crash()
            self.broken = True
            self.fleet.raised(self, error)
        return ()

    def tick(self) -> None:
        """Let time pass for the peer."""
        if self.online:
            self.put_again()
            self.take(events.Tick())
        if self.online:
            self.act()

    def tell(self, event: events.Event) -> None:
        """Send to every other vehicle."""
        self.fleet.network.broadcast(self, self.fleet.others[self.number], event)

    def send(self, receiver: Vehicle, event: events.Event) -> None:
        """Send to one other vehicle."""
        self.fleet.network.send(self, receiver, event)

    def heard(self, event: events.Event) -> None:
        """Take note of what came in."""

    def instead(self, effect: effects.Effect) -> Sequence[effects.Effect]:
        """What is done in place of an effect of the peer's."""
        return (effect,)

    def broadcast(self, event: events.Event) -> None:
        """Send what is meant for everybody."""
        self.tell(event)

    def act(self) -> None:
        """Do something unasked, once a tick."""

    def update(self, request: effects.TrainingRequest) -> bytes:
        """Train."""
        base = self.peer.decrypt(self.files[request.base_cid])
        return train(base, self.number, request.iteration, self.fleet.seed)

    def headers(self, asker: Vehicle, from_height: int) -> Sequence[SignedHeader]:
        """Answer a request for headers."""
        return self.chain.canonical_headers(from_height, HEADERS_PER_ANSWER)

    def quorums(self, asker: Vehicle, final_height: int, justified_round: int) -> Sequence[Quorum]:
        """Answer a request for what has been settled by votes."""
        return quorums_above(self.chain, final_height, justified_round)

    def blocks(self, asker: Vehicle, hashes: Sequence[bytes]) -> Sequence[Block]:
        """Answer a request for blocks."""
        found = (self.chain.block(name) for name in hashes[:BLOCKS_PER_ANSWER])
        return [block for block in found if block is not None]

    def file(self, asker: Vehicle, cid: str) -> bytes | None:
        """Answer a request for a file."""
        return self.files.get(cid)

    def carry_out(self, wanted: Iterable[effects.Effect]) -> None:
        """Do what the peer says, or what a Byzantine vehicle does instead."""
        for each in wanted:
            self.fleet.note(self, each)
            for effect in self.instead(each):
                self._do(effect)

    def keep(self, data: bytes) -> str:
        """Put a file in this vehicle's storage and pin it; its CID."""
        cid = cid_of(data)
        if self.store_file(cid, data):
            self.pin(cid)
        self.fleet.archive.setdefault(cid, data)
        return cid

    def keep_model(self, data: bytes, state: State) -> str:
        """Put a model or update into storage as the chain after `state` wants it; its CID."""
        return self.keep(self.peer.encrypt(state, data))

    def _do(self, effect: effects.Effect) -> None:
        fleet = self.fleet
        match effect:
            case effects.AnnounceTip(tip):
                self.broadcast(events.TipReceived(tip))
            case effects.BroadcastTransaction(transaction):
                self.broadcast(events.TransactionReceived(transaction))
            case effects.BroadcastBlock(block):
                self.broadcast(events.BlockReceived(block))
            case effects.Put() | effects.Pin() | effects.Unpin() | effects.Discard():
                self.change(effect)
            case effects.Request():
                fleet.request(self, effect)
            case effects.Train(request):
                self._training = request
                wait = self.rng.randint(*_TRAIN_MS) + self.training_slow_ms
                fleet.queue.after(wait, self._trained, request, self.peer.state)
            case effects.CancelTraining():
                self._training = None
            case effects.Mine(header):
                self._mining = header
                mean = _MINE_MS * fleet.scenario.vehicles / self.hash_power
                wait = int(self.rng.expovariate(1 / mean))
                fleet.queue.after(wait, self._mined, header)
            case effects.StopMining():
                self._mining = None
            case _:
                pass

    def _trained(self, request: effects.TrainingRequest, begun: State) -> None:
        if self._training is request:
            self._training = None
            if self.disk_full or self.training_fails or request.base_cid not in self.files:
                self.take(events.TrainingFailed(request, "no space left on device"))
                return
            try:
                cid = self.keep_model(self.update(request), begun)
            except EncryptionError as error:  # somebody's task may start from a file of any kind
                self.take(events.TrainingFailed(request, str(error)))
                return
            accuracy = 0.5 + self.number / 4000
            self.take(events.Trained(request, cid, accuracy, _SAMPLES))

    def _mined(self, header: Header) -> None:
        if self._mining is header:
            self._mining = None
            found = search(header, MIN_NONCE + self.rng.getrandbits(40), _NONCE_ATTEMPTS)
            assert found is not None, "the simulation's difficulty is low"
            self.take(events.NonceFound(found))

    def _stored(self, block: Block) -> None:
        self.blocks_checked += 1
        self.models_recomputed += block.header.model_flag
        self.fleet.stored(self, block)
