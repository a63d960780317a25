"""The consensus of one vehicle on ROS: topics and services in, `Peer`, effects out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bift_msgs import msg, srv
from rclpy.node import Node

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.blocks import Block
from bift_ros.chain.exceptions import InvalidBlock, InvalidTransaction
from bift_ros.chain.fields import MAX_INTEGER
from bift_ros.chain.genesis import Genesis
from bift_ros.chain.transactions import ModelUpdate, Payload
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert, qos
from bift_ros.nodes.clock import IterationClock
from bift_ros.nodes.jobs import NonceSearch, StorageJobs
from bift_ros.nodes.training_client import TrainingClient
from bift_ros.peer import effects
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.events import (
    BlockReceived,
    BlocksAnswered,
    Event,
    Submit,
    Tick,
    TipReceived,
    Trained,
    TrainingFailed,
    TransactionReceived,
)
from bift_ros.peer.machine import Peer

_TICK_SECONDS = 0.25
_BLOCKS_PER_ANSWER = 32


class PeerNode(Node):
    """Drives one `Peer`. All of it runs in the executor's thread; other threads `post`."""

    def __init__(
        self,
        name: str,
        key: KeyPair,
        genesis: Genesis,
        chain: Blockchain,
        config: PeerConfig,
        storage: Any,
    ) -> None:
        super().__init__("peer", enable_rosout=False, start_parameter_services=False)
        self._name, self._address, self._genesis, self._chain = name, key.address, genesis, chain
        self._provider: str = storage.url
        self.peer = Peer(key, genesis, chain, config)
        self.clock = IterationClock()
        self.refused, self.last_refusal = 0, ""
        self.started = False
        self.storage_jobs = StorageJobs(storage, self.post)
        self.nonce_search = NonceSearch(self.post)
        self._transactions = self._topic(
            msg.Transaction, "transactions", qos.TRANSACTIONS, self._on_transaction
        )
        self._blocks = self._topic(msg.Block, "blocks", qos.BLOCKS, self._on_block)
        self._tips = self._topic(msg.Tip, "tips", qos.TIPS, self._on_tip)
        self.create_service(srv.GetBlocks, "get_blocks", self._get_blocks)
        self.create_service(srv.SubmitTransaction, "submit_transaction", self._submit)
        self.training = TrainingClient(self, self._training_ended)
        self._sources: dict[str, Any] = {}
        self.create_timer(_TICK_SECONDS, self._tick)

    def start(self) -> None:
        """Announce where this vehicle stands and begin to take part."""
        self.started = True
        self._carry_out(self.peer.start(self._now()))

    def stop(self) -> None:
        """End the threads."""
        self.nonce_search.close()
        self.storage_jobs.close()

    def post(self, event: Event) -> None:
        """Hand over an event from any thread."""
        if self.executor is not None:
            self.executor.create_task(self.take, event)

    def take(self, event: Event) -> None:
        """Let the peer deal with an event, here in the executor's thread."""
        if self.started:
            self._carry_out(self.peer.handle(event, self._now()))

    def submit(self, payload: Payload) -> None:
        """Sign a transaction of this vehicle and send it. Raises InvalidTransaction."""
        self.take(Submit(payload))

    def _tick(self) -> None:
        self.training.poll()
        self.take(Tick())

    @staticmethod
    def _now() -> int:
        return time.time_ns() // 1_000_000

    def _topic(self, kind: Any, name: str, profile: Any, callback: Callable[[Any], None]) -> Any:
        self.create_subscription(kind, f"/bift/{name}", callback, qos.FLEET_READER)
        return self.create_publisher(kind, f"/bift/{name}", profile)

    # --- in -------------------------------------------------------------------------------

    def _on_transaction(self, message: msg.Transaction) -> None:
        try:
            transaction = convert.transaction_from_message(message)
        except InvalidTransaction as error:
            self._refused(effects.Refused("transaction", message.sender, str(error)))
            return
        if transaction.sender == self._address:
            return
        if isinstance(transaction.payload, ModelUpdate):
            self.clock.update_heard()
        self.take(TransactionReceived(transaction, message.provider))

    def _on_block(self, message: msg.Block) -> None:
        try:
            block = convert.block_from_message(message)
        except (InvalidBlock, InvalidTransaction) as error:
            self._refused(effects.Refused("block", message.header.miner, str(error)))
            return
        self.take(BlockReceived(block, message.provider))

    def _on_tip(self, message: msg.Tip) -> None:
        try:
            tip_hash = bytes.fromhex(message.hash)
        except ValueError:
            self._refused(effects.Refused("tip", message.peer, f"bad hash {message.hash[:80]!r}"))
            return
        self.take(
            TipReceived(
                message.peer, message.index, tip_hash, message.learning_weight, message.provider
            )
        )

    def _get_blocks(
        self, request: srv.GetBlocks.Request, response: srv.GetBlocks.Response
    ) -> srv.GetBlocks.Response:
        limit = min(request.limit, _BLOCKS_PER_ANSWER)
        # The wire's 64 bits go beyond a block's index, and beyond what SQLite takes.
        blocks = self._chain.canonical(min(request.from_index, MAX_INTEGER), limit)
        response.blocks = [convert.block_to_message(b, self._provider) for b in blocks]
        return response

    def _submit(
        self, request: srv.SubmitTransaction.Request, response: srv.SubmitTransaction.Response
    ) -> srv.SubmitTransaction.Response:
        before = self.refused
        self._on_transaction(request.transaction)
        response.accepted = self.refused == before
        response.reason = "" if response.accepted else self.last_refusal
        if response.accepted:
            self._transactions.publish(request.transaction)
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
                self._transactions.publish(
                    convert.transaction_to_message(transaction, self._provider)
                )
            case effects.BroadcastBlock(block):
                self._blocks.publish(convert.block_to_message(block, self._provider))
            case effects.AnnounceTip():
                self._announce(effect)
            case effects.RequestBlocks():
                self._request_blocks(effect)
            case effects.Fetch():
                self.storage_jobs.fetch(effect)
            case effects.Put():
                self.storage_jobs.put(effect)
            case effects.Train(request):
                self.clock.training_started()
                self.training.start(request)
            case effects.CancelTraining():
                self.training.cancel()
            case effects.Mine(header):
                self.nonce_search.start(header)
            case effects.StopMining():
                self.nonce_search.stop()
            case effects.TipChanged(block, removed, notes):
                self._tip_changed(block, removed, notes)
            case effects.Refused():
                self._refused(effect)

    def _announce(self, tip: effects.AnnounceTip) -> None:
        self._tips.publish(
            msg.Tip(
                peer=self._address,
                name=self._name,
                index=tip.index,
                hash=tip.hash.hex(),
                learning_weight=tip.learning_weight,
                provider=self._provider,
            )
        )

    def _request_blocks(self, request: effects.RequestBlocks) -> None:
        member = self._genesis.member(request.peer)
        assert member is not None, "the peer asks members only"
        client = self._sources.get(member.name)
        if client is None:
            client = self.create_client(srv.GetBlocks, f"/{member.name}/get_blocks")
            self._sources[member.name] = client
        if not client.service_is_ready():
            self.post(BlocksAnswered(request.peer, 0))
            return
        call = client.call_async(
            srv.GetBlocks.Request(from_index=request.from_index, limit=_BLOCKS_PER_ANSWER)
        )
        call.add_done_callback(lambda done: self._blocks_came(request.peer, done.result()))

    def _blocks_came(self, peer: str, response: srv.GetBlocks.Response | None) -> None:
        messages = response.blocks if response is not None else []
        for message in messages:
            self._on_block(message)
        self.take(BlocksAnswered(peer, len(messages)))

    def _training_ended(self, event: Trained | TrainingFailed) -> None:
        self.clock.training_ended()
        self.take(event)

    def _tip_changed(self, block: Block, removed: int, notes: tuple[str, ...]) -> None:
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
        self.get_logger().info(f"tip {block.header.index} {block.hash.hex()[:12]}{made}{left}")
        for note in notes:
            self.get_logger().info(note)

    def _refused(self, refusal: effects.Refused) -> None:
        self.refused += 1
        member = self._genesis.member(refusal.sender)
        who = member.name if member is not None else repr(refusal.sender[:40])
        self.last_refusal = f"{refusal.what} from {who}: {refusal.reason}"
        self.get_logger().warning(f"refused {self.last_refusal}")
