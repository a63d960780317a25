"""What a vehicle says of itself: twice a second, and more seldom while nothing happens."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import psutil
from bift_msgs.msg import Member, VehicleStatus
from bift_msgs.srv import GetState

from bift_ros.consensus.genesis import Genesis
from bift_ros.nodes import convert
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.perception_node import PerceptionNode
from bift_ros.nodes.vehicle.trainer_node import TrainerNode
from bift_ros.perception.classes import CLASSES
from bift_ros.storage.interface import Storage

REST_SECONDS = 3.0
"""A vehicle without news says so this often."""
_NO_NEWS = frozenset(
    ("stamp", "frames_seen", "skipped", "fetched_bytes", "served_bytes",
     "rss_mb", "peak_rss_mb", "disk_free_mb")
)  # fmt: skip
"""What changes all the time."""
_NEWS = tuple(n for n in VehicleStatus.get_fields_and_field_types() if n not in _NO_NEWS)


def news_of(message: VehicleStatus) -> str:
    """What to compare with a later message's: equal where nothing has happened between them."""
    return repr([getattr(message, name) for name in _NEWS])  # in which NaN equals NaN


class ResidentMemory:
    """Of a process and its worker together."""

    def __init__(self) -> None:
        self._own, self._worker = psutil.Process(), None

    def megabytes(self, worker: int | None) -> int:
        """Now, in MiB; `worker` is a process ID, and one that is gone counts nothing."""
        if worker is None:
            self._worker = None
        elif self._worker is None or self._worker.pid != worker:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._worker = psutil.Process(worker)
        total = self._own.memory_info().rss
        if self._worker is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += self._worker.memory_info().rss
        return int(total) >> 20


class StatusReporter:
    """Gathers a VehicleStatus from the vehicle's nodes."""

    def __init__(
        self,
        name: str,
        address: str,
        genesis: Genesis,
        peer: PeerNode,
        perception: PerceptionNode,
        trainer: TrainerNode | None,
        storage: Storage,
        folder: Path,
    ) -> None:
        """`folder` is the one whose disk must not fill up."""
        self._name, self._address, self._genesis = name, address, genesis
        self._peer, self._perception, self._trainer = peer, perception, trainer
        self._memory, self._peak_mb = ResidentMemory(), 0
        self._storage, self._folder = storage, folder
        self.collecting = False
        """Whether a bag is being replayed."""

    def status(self) -> VehicleStatus:
        """The vehicle now."""
        message = VehicleStatus(name=self._name, address=self._address, state=self._activity())
        message.stamp = self._peer.get_clock().now().to_msg()
        self._fill_perception(message)
        self._fill_training(message)
        self._fill_chain(message)
        self._fill_resources(message)
        return message

    def state_of(self, request: GetState.Request, response: GetState.Response) -> GetState.Response:
        """Answer a GetState call."""
        account = request.address or self._address
        state = self._peer.peer.state
        response.status = self.status()
        response.balance = state.balances.get(account, 0)
        response.next_sequence = (
            self._peer.peer.next_sequence(account) if account in state.sequences else 0
        )
        response.genesis_hash = self._genesis.hash.hex()
        response.members = [
            Member(
                name=member.name,
                address=address,
                balance=state.balances.get(address, 0),
                active=address in state.members,
            )
            for address, member in self._peer.known_members.items()
        ]
        waiting = self._peer.peer.waiting_transaction(bytes(request.transaction))
        if waiting is not None:
            response.waiting = [convert.transaction_to_message(waiting)]
        return response

    def _activity(self) -> str:
        if self._peer.nonce_search.running:
            return "mining"
        if self._peer.training.running:
            return "training"
        if self.collecting:
            return "collecting"
        if self._trainer is not None and self._perception.statistics.samples == 0:
            return "no data: does not train"
        return "idle"

    def _fill_resources(self, message: VehicleStatus) -> None:
        worker = self._trainer.worker.pid if self._trainer is not None else None
        message.rss_mb = self._memory.megabytes(worker)
        self._peak_mb = message.peak_rss_mb = max(self._peak_mb, message.rss_mb)
        if self._trainer is not None and self._trainer.worker.gpu_mb:
            message.gpu_mb = self._trainer.worker.gpu_mb
            message.gpu_limit_mb = self._trainer.gpu_limit_mb
        message.disk_free_mb = shutil.disk_usage(self._folder).free >> 20
        traffic = self._storage.traffic
        message.fetched_bytes, message.served_bytes = traffic.fetched, traffic.served

    def _fill_perception(self, message: VehicleStatus) -> None:
        statistics = self._perception.statistics
        message.frames_seen = statistics.frames_seen
        message.samples = statistics.samples
        message.class_samples = [statistics.per_class.get(name, 0) for name in CLASSES]
        message.skipped = sum(statistics.skips.values()) + self._perception.lost_frames

    def _fill_training(self, message: VehicleStatus) -> None:
        trainer = self._trainer
        if trainer is not None:
            message.epoch, message.loss = trainer.epoch, trainer.loss
            message.update_bytes = trainer.update_bytes
        seconds = self._peer.clock.last
        message.training_seconds = seconds.training
        message.storage_seconds = seconds.storage
        message.consensus_seconds = seconds.consensus

    def _fill_chain(self, message: VehicleStatus) -> None:
        peer = self._peer.peer
        state = peer.state
        message.height = state.index
        message.tip = state.tip_hash.hex()
        message.balance = state.balances.get(self._address, 0)
        message.mines = peer.mines
        message.mempool = peer.pending_transactions
        message.peers = peer.known_peers
        message.refused = self._peer.refused
        message.last_refusal = self._peer.last_refusal
        message.equivocations = self._peer.equivocations
        task = state.latest_task
        if task is not None:
            message.model_id = task.model_id
            message.local_epochs = task.proposal.local_epochs
            message.current_iter = task.current_iter
            message.total_iter = task.proposal.total_iter
            message.global_cid = task.global_cid
            if task.history:
                message.accuracy = task.history[-1].accuracy
                message.rule = task.history[-1].rule
                message.contributors = len(task.history[-1].contributors)
