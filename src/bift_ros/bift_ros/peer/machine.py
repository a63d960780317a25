"""The peer: one vehicle's part in the consensus, as a state machine without I/O.

Events and the time come in, effects go out; a driver carries them out.
Nothing here reads a clock, draws a random number, opens a socket or starts a thread. The
chain's store is handed in and written synchronously, since a block must be durable before
any effect tells the fleet of it; a simulation hands in a store in memory.
"""

from __future__ import annotations

from bift_ros.chain.blockchain import Blockchain, Reorg
from bift_ros.chain.finality import Finality
from bift_ros.chain.interface import Snapshot
from bift_ros.consensus.blocks import Block, Header
from bift_ros.consensus.exceptions import InvalidTransaction, SequenceUsed
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.model_check import ComputedModel
from bift_ros.consensus.payloads import ModelCommit
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer import events
from bift_ros.peer.block_import import BlockImport, CheckedBlock
from bift_ros.peer.catch_up import CatchUp
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.context import Context
from bift_ros.peer.disputes import Disputes
from bift_ros.peer.double_votes import DoubleVotes
from bift_ros.peer.effects import BroadcastBlock, Effect, StartedFrom, TipChanged
from bift_ros.peer.equivocation import Equivocations
from bift_ros.peer.fairness import Fairness
from bift_ros.peer.group_keys import GroupKeys
from bift_ros.peer.included import Included
from bift_ros.peer.keeping import Keeping
from bift_ros.peer.mining import Miner
from bift_ros.peer.own_transactions import OwnTransactions
from bift_ros.peer.snapshots import Snapshots
from bift_ros.peer.tip_tracker import TipTracker
from bift_ros.peer.trainer import Trainer
from bift_ros.peer.updates import Updates
from bift_ros.peer.voting import Voting


class Peer:
    """One vehicle's consensus. `handle` is the only way in; it must not run concurrently."""

    def __init__(
        self,
        key: KeyPair,
        genesis: Genesis,
        chain: Blockchain,
        config: PeerConfig,
        provider: str = "",
    ) -> None:
        """Stand where `chain` ends. `provider` is the URL at which this vehicle serves files."""
        context = self._context = Context(key, genesis, chain, config, provider)
        self._own = OwnTransactions(context)
        self._double_votes = DoubleVotes(context, self._own)
        self._voting = Voting(context, self._double_votes)
        self._tips = TipTracker(context, self._voting)
        self._fairness = Fairness(context)
        self._updates = Updates(context, self._fairness)
        self._disputes = Disputes(context, self._tips, self._voting.book)
        self._equivocations = Equivocations(context)
        self._import = BlockImport(context, self._fairness, self._disputes, self._equivocations)
        self._keeping = Keeping(context, self._updates, self._import)
        self._miner = Miner(context, self._updates)
        self._trainer = Trainer(context, self._own)
        self._keys = GroupKeys(context, self._own, self._tips)
        self._snapshots = Snapshots(context)
        self._catch_up = CatchUp(context, self._tips, self._import, self._snapshots, self._voting)
        self._mined = b""
        """Hash of the last block of our own making, to be sent once it is stored."""
        self._has_moved = False
        """Whether the tip has changed by the event that is dealt with."""
        self._included = Included()

    @property
    def state(self) -> State:
        """The state after the tip."""
        return self._context.chain.tip_state

    @property
    def finality(self) -> Finality:
        """What votes have settled."""
        return self._context.chain.finality

    @property
    def pending_transactions(self) -> int:
        """How many transactions the mempool holds."""
        return len(self._context.mempool)

    def waiting_transaction(self, tx_hash: bytes) -> Transaction | None:
        """Give the transaction with this hash where it waits for a block, or None."""
        return self._context.mempool.get(tx_hash)

    @property
    def mines(self) -> bool:
        """Whether this vehicle makes blocks, as long as it is a member."""
        return self._miner.mines

    @property
    def waiting_blocks(self) -> int:
        """How many blocks are here that are not in the tree yet."""
        return self._import.waiting

    @property
    def wanted_blocks(self) -> int:
        """How many blocks are known by their headers only."""
        return self._catch_up.wanted

    @property
    def wanted_files(self) -> int:
        """How many files are asked for and not here yet."""
        return len(self._context.fetches)

    def next_sequence(self, address: str) -> int:
        """The first sequence number of a member that neither chain nor mempool has used."""
        return self._context.mempool.next_sequence(address, self.state)

    @property
    def can_write_models(self) -> bool:
        """Whether a model or update can be put into a file now: it may need a key for that."""
        return self._context.can_write(self.state)

    def encrypt(self, state: State, data: bytes) -> bytes:
        """Give the file of a model or update after `state`; raises KeyUnavailable."""
        return self._context.encrypt(state, data)

    def decrypt(self, file: bytes) -> bytes:
        """Give what is in a model's file; raises EncryptionError or KeyUnavailable."""
        return self._context.decrypt(file)

    @property
    def providers(self) -> dict[str, str]:
        """The gateways of the vehicles heard of, by address."""
        return self._context.providers

    @property
    def known_peers(self) -> int:
        """How many other vehicles have announced a tip."""
        return self._tips.known

    def start(self, now: Time) -> list[Effect]:
        """Take up what was pending before a restart and say where we stand; once, at first."""
        self._context.clock.set(now)
        self._own.recall()
        self._trainer.recall()
        self._keeping.recall()
        self._voting.recall()
        self._tips.announce_now()
        return self._context.drain()

    def handle(self, event: events.Event, now: Time) -> list[Effect]:
        """Take one event at a time; return what is to be done.

        Raises InvalidTransaction only for a `Submit`, whose author is this vehicle's owner.
        """
        self._context.clock.set(now)
        if self._take(event):
            self._advance()
        while self._vote():
            self._advance()
        if self._has_moved or self._voting.untold:
            self._has_moved = False
            self._tips.announce()
        return self._context.drain()

    def _vote(self) -> bool:
        """Count and cast votes; whether the chain has moved by them."""
        moved = False
        for reorg in self._voting.advance():
            self._follow(reorg.added[-1], reorg)
            moved = True
        return moved

    def _advance(self) -> None:
        self._updates.advance()
        if not self._context.store_paused:
            for checked in self._import.checked():
                if not self._accept(checked):
                    self._import.put_back()
                    break
        self._trainer.advance()
        self._updates.advance()
        self._miner.advance()

    def _take(self, event: events.Event) -> bool:
        """Note an event; whether anything may follow from it."""
        context = self._context
        match event:
            case events.TipReceived(tip):  # what comes most often stands first
                if not self._tips.received(tip):
                    return False
                self._ask_again()
            case events.TransactionReceived():
                if self._transaction_received(event):
                    self._updates.advance()
                    self._miner.advance()
                return False
            case events.FileFetched(cid, data):
                snapshot = self._snapshots.arrived(cid, data)
                if snapshot is not None:
                    self._start_from(snapshot)
                    return True
                if not context.arrived(cid, data):
                    context.fetches.failed(cid, context.now)
                    return False
                context.fetches.arrived(cid)
                self._updates.file_arrived(cid)
                self._import.look_again()
            case events.Tick():
                self._tick()
            case events.BlockReceived(block):
                self._import.add(block)
            case events.HeadersAnswered(peer, headers, quorums):
                self._voting.shown(quorums)
                self._catch_up.headers_answered(peer, headers)
                return False
            case events.BlocksAnswered(peer):
                self._catch_up.blocks_answered(peer)
                return False
            case events.KeysAnswered():
                self._keys.answered(event)
            case events.SnapshotAnswered():
                self._catch_up.snapshot_answered(event)
                return False
            case events.FetchFailed(cid, reason, final):
                self._snapshots.failed(cid)
                if not context.fetches.failed(cid, context.now, final=final):
                    return False
                self._updates.file_unfit(cid, reason)
                self._import.file_unfit(cid, reason)
            case events.Trained():
                self._keeping.made(event.cid)
                self._trainer.trained(event)
            case events.TrainingFailed():
                self._trainer.failed(event)
            case events.NonceFound(header):
                self._nonce_found(header)
            case events.DatasetChanged(samples):
                self._trainer.dataset_changed(samples)
            case events.Submit(payload):
                self._own.submit(payload)
            case events.SetMining(mine):
                self._miner.set_mining(mine)
        return True

    def _tick(self) -> None:
        """What only time brings."""
        self._voting.look_again()
        self._updates.retry()
        self._import.settle_disputes()
        self._equivocations.keep()
        self._join_majority()
        self._import.look_again()
        self._own.send_again()
        self._double_votes.advance()
        self._keys.advance()
        self._catch_up.advance()
        self._tips.announce()
        self._keeping.let_go()
        self._snapshots.serve()

    def _ask_again(self) -> None:
        """Another vehicle's gateway is known now, which may have what nobody had."""
        self._context.fetches.ask_again(self._context.now)
        self._updates.retry()
        self._import.look_again()

    def _join_majority(self) -> None:
        """Leave a branch that ties with the one most members stand on."""
        context = self._context
        other = self._disputes.majority_tip()
        if other is None:
            return
        reorg = context.write("the tip", lambda: context.chain.prefer(other))
        if reorg is not None:
            self._follow(reorg.added[-1], reorg)

    def _transaction_received(self, event: events.TransactionReceived) -> bool:
        context, transaction = self._context, event.transaction
        if transaction.hash in context.mempool:
            return False
        try:
            context.mempool.add(transaction, context.state, context.genesis)
        except InvalidTransaction as error:
            if isinstance(error, SequenceUsed) or self._included.is_old(
                transaction, self.state.latest_task
            ):
                return False  # it is on the chain: late joiners are sent old things again
            name = transaction.hash.hex()
            context.refuse(
                "transaction", name, transaction.sender, f"transaction {name[:12]}: {error}"
            )
            return False
        if isinstance(transaction.payload, ModelCommit):
            self._fairness.usable(transaction)
        return True

    def _nonce_found(self, header: Header) -> None:
        block = self._miner.finish(header)
        if block is None:
            return
        self._mined = block.hash
        self._import.add(block)

    def _accept(self, checked: CheckedBlock) -> bool:
        """Add a block whose every check has passed; follow it where it outweighs the tip.

        False where the store can't keep it just now.
        """
        context, block = self._context, checked.block
        name = f"block {block.header.height}"
        reorg = context.write(name, lambda: context.chain.add(block, checked.state))
        if context.store_fails:
            return False
        self._fairness.accepted(block, checked.parent)
        self._voting.look_again()
        self._keeping.accepted(checked, followed=reorg is not None)
        if block.hash == self._mined:
            context.emit(BroadcastBlock(block))
        if reorg is not None:
            self._follow(block, reorg, checked.made)
        return True

    def _start_from(self, snapshot: Snapshot) -> None:
        """Go on from a final block, with nothing of what was here below it."""
        context = self._context
        context.chain.start_from(snapshot)
        self._voting.look_again()
        context.emit(StartedFrom(snapshot.height, snapshot.hash))
        self._moved()

    def _follow(self, block: Block, reorg: Reorg, made: ComputedModel | None = None) -> None:
        context = self._context
        for left in reorg.removed:
            self._included.left(left.body.transactions)
            context.mempool.restore(left.body.transactions)
            self._own.restored(left.body.transactions)
        for added in reorg.added:
            self._included.brought(added.body.transactions)
            self._keeping.followed(added)
        context.emit(TipChanged(block, len(reorg.removed), made.notes if made else ()))
        self._moved()

    def _moved(self) -> None:
        """What follows from another tip."""
        context = self._context
        for transaction, reason in context.mempool.prune(context.state):
            if transaction not in self._included:
                self._own.dropped(transaction, reason)
        self._miner.tip_changed()
        context.fetches.forget()
        self._voting.look_again()
        self._has_moved = True
