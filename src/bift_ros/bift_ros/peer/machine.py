"""The peer: one vehicle's part in the consensus, as a state machine without I/O.

Events and the time come in, effects go out; a driver carries them out (DESIGN section 6).
Nothing here reads a clock, draws a random number, opens a socket or starts a thread. The
chain's store is handed in and written synchronously, since a block must be durable before
any effect tells the fleet of it; a simulation hands in a store in memory.
"""

from __future__ import annotations

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.blocks import Header
from bift_ros.chain.exceptions import InvalidTransaction, SequenceUsed
from bift_ros.chain.genesis import Genesis
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.catch_up import CatchUp
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.context import Context
from bift_ros.peer.effects import (
    AnnounceTip,
    BroadcastBlock,
    Effect,
    Put,
    TipChanged,
)
from bift_ros.peer.events import (
    BlockReceived,
    BlocksAnswered,
    DatasetChanged,
    Event,
    FetchFailed,
    FileFetched,
    NonceFound,
    Submit,
    Tick,
    TipReceived,
    Trained,
    TrainingFailed,
    TransactionReceived,
)
from bift_ros.peer.intake import CheckedBlock, Intake
from bift_ros.peer.mining import Miner
from bift_ros.peer.trainer import Trainer
from bift_ros.peer.updates import Updates


class Peer:
    """One vehicle's consensus. `handle` is the only way in; it must not run concurrently."""

    def __init__(
        self, key: KeyPair, genesis: Genesis, chain: Blockchain, config: PeerConfig
    ) -> None:
        self._context = Context(key, genesis, chain, config)
        self._updates = Updates(self._context)
        self._intake = Intake(self._context, self._updates)
        self._miner = Miner(self._context, self._updates)
        self._trainer = Trainer(self._context)
        self._mined = b""
        """Hash of the last block of our own making, to be sent once it is stored."""
        self._catch_up = CatchUp(self._context, self._intake)
        self._announced_at = 0

    @property
    def state(self) -> State:
        """The state after the tip."""
        return self._context.chain.tip_state

    @property
    def pending_transactions(self) -> int:
        """How many transactions the mempool holds."""
        return len(self._context.mempool)

    def next_sequence(self, address: str) -> int:
        """The first sequence number of a member that neither chain nor mempool has used."""
        return self._context.mempool.next_sequence(address, self.state)

    @property
    def known_peers(self) -> int:
        """How many other vehicles have announced a tip."""
        return len(self._context.providers)

    def start(self, now: int) -> list[Effect]:
        """Say where we stand; to be called once, before any event."""
        self._context.now = now
        self._announce()
        return self._context.drain()

    def handle(self, event: Event, now: int) -> list[Effect]:
        """Take one event at a time in milliseconds since the epoch; return what is to be done.

        Raises InvalidTransaction only for a `Submit`, whose author is this vehicle's owner.
        """
        self._context.now = now
        self._take(event)
        self._updates.advance()
        for checked in self._intake.checked():
            self._accept(checked)
        self._trainer.advance()
        self._updates.advance()
        self._miner.advance()
        self._catch_up.advance()
        if now - self._announced_at >= self._context.config.announce_ms:
            self._announce()
        return self._context.drain()

    def _take(self, event: Event) -> None:
        context = self._context
        match event:
            case TransactionReceived():
                self._transaction_received(event)
            case BlockReceived(block, provider):
                self._catch_up.block_received(block)
                self._intake.add(block, provider)
            case TipReceived():
                self._tip_received(event)
            case BlocksAnswered(peer, _):
                self._catch_up.answered(peer)
            case FileFetched(cid, data):
                context.fetches.arrived(cid)
                context.files.add(cid, data)
            case FetchFailed(cid, _):
                context.fetches.failed(cid, context.now)
            case Trained():
                self._trainer.trained(event)
            case TrainingFailed():
                self._trainer.failed(event)
            case NonceFound(header):
                self._nonce_found(header)
            case DatasetChanged(samples):
                self._trainer.dataset_changed(samples)
            case Submit(payload):
                self._trainer.submit(payload)
            case Tick():
                pass

    def _transaction_received(self, event: TransactionReceived) -> None:
        context, transaction = self._context, event.transaction
        if transaction.hash in context.mempool:
            return
        try:
            context.mempool.add(transaction, context.chain.tip_state, context.genesis)
        except SequenceUsed:
            return  # it is on the chain already: late joiners are sent old things again
        except InvalidTransaction as error:
            name = transaction.hash.hex()
            context.refuse(
                "transaction", name, transaction.sender, f"transaction {name[:12]}: {error}"
            )
            return
        if event.provider:
            context.providers.setdefault(transaction.sender, event.provider)
        if isinstance(transaction.payload, ModelUpdate):
            context.need([transaction.payload.cid], (event.provider,))

    def _tip_received(self, event: TipReceived) -> None:
        context = self._context
        if event.peer == context.key.address:
            return
        if context.genesis.member(event.peer) is None:
            context.refuse("tip", event.peer, event.peer, "not a member of this fleet")
            return
        context.providers[event.peer] = event.provider
        self._catch_up.tip_received(event)

    def _nonce_found(self, header: Header) -> None:
        block = self._miner.finish(header)
        if block is None:
            return
        self._mined = block.hash
        self._intake.add(block, "")

    def _accept(self, checked: CheckedBlock) -> None:
        """Add a block whose every check has passed; follow it where it outweighs the tip."""
        context, block = self._context, checked.block
        made = checked.made
        if made is not None:
            context.files.add(made.info.global_cid, made.file)
            context.emit(Put(made.info.global_cid, made.file))
        reorg = context.chain.add(block, checked.state)
        if block.hash == self._mined:
            context.emit(BroadcastBlock(block))
        if reorg is None:
            return
        for left in reorg.removed:
            context.mempool.restore(left.body.transactions)
            self._trainer.restored(left.body.transactions)
        context.mempool.prune(context.chain.tip_state)
        self._miner.tip_changed()
        self._catch_up.tip_changed()
        context.fetches.forget()
        context.emit(TipChanged(block, len(reorg.removed), made.notes if made else ()))
        self._announce()

    def _announce(self) -> None:
        state = self.state
        self._announced_at = self._context.now
        self._context.emit(AnnounceTip(state.index, state.tip_hash, state.learning_weight))
