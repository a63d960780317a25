"""The consensus of one vehicle on ROS: what comes from the fleet's bus in, `Peer`, effects out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from bift_msgs import msg, srv

from bift_ros.admission.exceptions import NotAdmitted
from bift_ros.admission.gate import Gate
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.mempool import Mempool
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.exceptions import InvalidTransaction, UnknownSender
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.payloads import Learning, ModelUpdate, Payload
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.votes import Vote
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.nodes.vehicle.catch_up_services import CatchUpClient, CatchUpServices
from bift_ros.nodes.vehicle.clock import IterationClock
from bift_ros.nodes.vehicle.fleet_bus import FleetBus
from bift_ros.nodes.vehicle.inbox import Inbox
from bift_ros.nodes.vehicle.jobs import NonceSearch, StorageJobs
from bift_ros.nodes.vehicle.refusals import Refusals
from bift_ros.nodes.vehicle.trainer_node import TrainerNode
from bift_ros.peer import effects
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.events import (
    BlockReceived,
    Event,
    Submit,
    Tick,
    TipReceived,
    Trained,
    TrainingFailed,
    TransactionReceived,
)
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage

_TICK_SECONDS = 0.25
_ARRIVALS_AT_ONCE = 20


class PeerNode(QuietNode):
    """Drives one `Peer`, in the thread of the car's bus; other threads `post`.

    On the car's bus it takes the owner's transactions. What the fleet says is read in the thread of
    the fleet's bus, so that no flood there keeps the owner waiting.
    """

    def __init__(
        self,
        name: str,
        key: KeyPair,
        genesis: Genesis,
        chain: Blockchain,
        config: PeerConfig,
        storage: Storage,
        trainer: TrainerNode | None,
    ) -> None:
        """`trainer` is there where `config` has the peer train."""
        super().__init__("peer")
        self._name, self._address, self._genesis, self._chain = name, key.address, genesis, chain
        self._trainer = trainer
        self.peer = Peer(key, genesis, chain, config, storage.url)
        self.clock = IterationClock()
        self.refusals = Refusals(self.get_logger(), self._who)
        self.started = False
        self.conflict = ""
        """The last certificate that was shown for a rival of a final block."""
        self.storage_jobs = StorageJobs(storage, self.post, self._unkept)
        self.nonce_search = NonceSearch(self.post)
        self._using_chain = threading.Lock()
        """Held by whichever thread reads or changes the chain."""
        self._gate = Gate(genesis, key.address, chain.known_members, chain.has, chain.tip_state)
        self._inbox = Inbox(self._wake)
        self._bus = FleetBus(name, self._arrived)
        CatchUpServices(self._bus.node, chain, self._using_chain)
        self._catch_up = CatchUpClient(
            self._bus.node, chain, self._gate, self.post, self.refusals.note
        )
        self.create_service(srv.SubmitTransaction, "submit_transaction", self._submit)
        self.create_timer(_TICK_SECONDS, self._tick)

    def start(self) -> None:
        """Announce where this vehicle stands and begin to take part."""
        self.started = True
        with self._using_chain:
            todo = self.peer.start(self._now())
        self._carry_out(todo)
        self._bus.start()

    def stop(self) -> None:
        """End the threads, and leave the fleet's bus."""
        self._bus.close()
        self.nonce_search.close()
        self.storage_jobs.close()

    def post(self, event: Event) -> None:
        """Hand over an event from any thread."""
        if self.executor is not None:
            self.executor.create_task(self.take, event)

    def take(self, event: Event) -> None:
        """Let the peer deal with an event, here in the executor's thread."""
        if self.started:
            with self._using_chain:
                todo = self.peer.handle(event, self._now())
            self._carry_out(todo)

    def once(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something called a single time, so many seconds from now."""

        def due() -> None:
            self.destroy_timer(timer)
            call()

        timer = self.create_timer(seconds, due)

    @property
    def address(self) -> str:
        """This vehicle's account."""
        return self._address

    @property
    def known_members(self) -> Mapping[str, Member]:
        """Everybody who is or was a member, by address."""
        return self._chain.known_members

    @property
    def equivocations(self) -> list[str]:
        """One line for each miner caught signing two blocks on one parent."""
        evidence = self._chain.store.evidence()
        return [self._equivocation_text(first) for first, _ in evidence]

    def submit(self, payload: Payload) -> None:
        """Sign a transaction of this vehicle and send it. Raises InvalidTransaction."""
        if self._address not in self.peer.state.members:
            raise UnknownSender(
                f"{self._address} is no member: the members must vote it in "
                f"(`bift member vote join {self._name} PUBLIC_KEY`)"
            )
        self.take(Submit(payload))

    def _tick(self) -> None:
        self.storage_jobs.put_again()
        self.take(Tick())

    @staticmethod
    def _now() -> Time:
        return Time(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)

    def _unkept(self, reason: str) -> None:
        self.refusals.note(effects.Refused("store", self._address, reason))

    # --- in, in the thread of the fleet's bus ------------------------------------------------

    def _arrived(self, kind: type, data: bytes) -> None:
        """Judge a message; what is let in waits for the car's thread."""
        self._gate.wall, now = self._now()
        try:
            if kind is msg.Transaction:
                self._on_transaction(self._gate.transaction(data, now))
            elif kind is msg.Block:
                block = self._gate.block(data, now)
                if block is not None:
                    self._inbox.put(block.header.miner, BlockReceived(block))
            else:
                tip = self._gate.tip(data, now)
                if tip is not None:
                    self._inbox.put(tip.sender, TipReceived(tip))
        except NotAdmitted as error:
            self.refusals.note(effects.Refused(error.what, error.sender, error.reason))

    def _on_transaction(self, transaction: Transaction | None) -> None:
        if transaction is None:
            return
        if transaction.sender == self._address and isinstance(transaction.payload, Learning):
            return  # our own words come back; but our owner may speak through another vehicle
        if isinstance(transaction.payload, ModelUpdate):
            self.clock.update_heard()
        self._inbox.put(transaction.sender, TransactionReceived(transaction))

    def _wake(self) -> None:
        if self.executor is not None:
            self.executor.create_task(self._take_arrivals)

    # --- in, in the car's thread ----------------------------------------------------------------

    def _take_arrivals(self) -> None:
        """Take some of what waits: whatever else is due in this thread has its turn between."""
        for _ in range(_ARRIVALS_AT_ONCE):
            event = self._inbox.take()
            if event is None:
                return
            self.take(event)
        self._wake()

    def _submit(
        self, request: srv.SubmitTransaction.Request, response: srv.SubmitTransaction.Response
    ) -> srv.SubmitTransaction.Response:
        before = self.refusals.count
        try:
            transaction = convert.transaction_from_message(request.transaction)
            # The peer passes over what it knows or refused before, and here somebody waits.
            Mempool().add(transaction, self.peer.state, self._genesis)
        except InvalidTransaction as error:
            self.refusals.note(effects.Refused("transaction", "", str(error)))
        else:
            self.take(TransactionReceived(transaction))
            response.accepted = self.refusals.count == before
        response.reason = "" if response.accepted else self.refusals.last
        if response.accepted:
            self._bus.publish(convert.transaction_to_message(transaction))
        return response

    # --- out ------------------------------------------------------------------------------

    def _carry_out(self, todo: list[effects.Effect]) -> None:
        for effect in todo:
            self._do(effect)

    def _do(self, effect: effects.Effect) -> None:
        match effect:
            case effects.BroadcastTransaction(transaction):
                if isinstance(transaction.payload, ModelUpdate):
                    self.clock.update_heard()
                self._bus.publish(convert.transaction_to_message(transaction))
            case effects.BroadcastBlock(block):
                self._bus.publish(convert.block_to_message(block))
            case effects.AnnounceTip(tip):
                self._bus.publish(convert.tip_to_message(tip, self._name))
            case effects.RequestHeaders():
                self._catch_up.request_headers(effect)
            case effects.RequestBlocks():
                self._catch_up.request_blocks(effect)
            case effects.RequestKeys():
                self._catch_up.request_keys(effect)
            case effects.RequestSnapshot():
                self._catch_up.request_snapshot(effect)
            case effects.Fetch():
                self.storage_jobs.fetch(effect)
            case effects.Put():
                self.storage_jobs.put(effect)
            case effects.Pin():
                self.storage_jobs.pin(effect)
            case effects.Unpin():
                self.storage_jobs.unpin(effect)
            case effects.Discard():
                self.storage_jobs.discard(effect)
            case effects.Train(request):
                assert self._trainer is not None
                self.clock.training_started()
                self._trainer.train(request, self.peer, self._training_ended)
            case effects.CancelTraining():
                assert self._trainer is not None
                self._trainer.cancel()
            case effects.Mine(header):
                self.nonce_search.start(header)
            case effects.StopMining():
                self.nonce_search.stop()
            case effects.TipChanged(block, removed, notes):
                self._tip_changed(block, removed, notes)
            case effects.StartedFrom(height, block_hash):
                self._gate.state = self._chain.tip_state
                self.get_logger().info(
                    f"tip {height} {block_hash.hex()[:12]}, final by the members' votes: the state "
                    "after it was had from another vehicle"
                )
            case effects.EquivocationFound(first):
                self.get_logger().error(self._equivocation_text(first))
            case effects.BlockFinal(height, name):
                self.get_logger().info(f"final {height} {name.hex()[:12]}")
            case effects.DoubleVoteFound(first, second):
                self.get_logger().error(self._double_vote_text(first, second))
            case effects.ConflictingCertificate(_, reason):
                self.conflict = reason
                self.get_logger().error(
                    f"rivals are final, so over a third of the members have lied: {reason}"
                )
            case effects.Refused():
                self.refusals.note(effect)

    def _training_ended(self, event: Trained | TrainingFailed) -> None:
        self.clock.training_ended()
        self.take(event)

    def _tip_changed(self, block: Block, removed: int, notes: tuple[str, ...]) -> None:
        self._gate.state = self._chain.tip_state
        info = block.body.model_info
        if info is not None:
            self.clock.iteration_finished(self.storage_jobs.take_seconds())
        left = f", leaving {removed} blocks of another branch" if removed else ""
        made = (
            f" with iteration {info.current_iter}/{info.total_iter} of {info.model_id}"
            f" ({info.rule}, {len(info.contributors)} contributors)"
            if info is not None
            else ""
        )
        self.get_logger().info(f"tip {block.header.height} {block.hash.hex()[:12]}{made}{left}")
        for note in notes:
            self.get_logger().info(note)

    def _equivocation_text(self, signed: SignedHeader) -> str:
        """What a person is told; `signed` is either of the two headers."""
        header = signed.header
        parent = header.previous_hash.hex()[:12]
        return f"{self._who(header.miner)} signed two blocks at height {header.height} on {parent}"

    def _double_vote_text(self, first: Vote, second: Vote) -> str:
        rounds = f"{first.statement.round} and {second.statement.round}"
        return (
            f"{self._who(first.sender)} cast votes that contradict each other, in rounds {rounds}"
        )

    def _who(self, address: str) -> str:
        member = self._chain.known_members.get(address)
        return member.name if member is not None else repr(address[:40])
