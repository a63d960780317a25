"""What a vehicle says of itself: twice a second, and more seldom while nothing happens."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path

import psutil
from bift_msgs.msg import Member
from bift_msgs.srv import GetState

from bift_ros.consensus.genesis import Genesis
from bift_ros.monitoring.status import (
    ChainStatus,
    DatasetStatus,
    ResourceStatus,
    TaskStatus,
    TrainingStatus,
    VehicleState,
    VehicleStatus,
)
from bift_ros.nodes import convert
from bift_ros.nodes.status_message import status_to_message
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.perception_node import PerceptionNode
from bift_ros.nodes.vehicle.trainer_node import TrainerNode
from bift_ros.perception.classes import CLASSES
from bift_ros.storage.interface import Storage

MOST_MEMBERS = 4096
"""As many as an answer holds."""


def news_of(status: VehicleStatus) -> str:
    """What to compare with a later status's: equal where nothing has happened between them.

    Counters of frames, of memory and of traffic change all the time.
    """
    dataset = replace(status.dataset, frames_seen=0, skipped=0)
    return repr(replace(status, dataset=dataset, resources=ResourceStatus()))  # NaN equals NaN


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
    """Gathers a status from the vehicle's nodes."""

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
        return VehicleStatus(
            self._name,
            self._address,
            self._activity(),
            self._peer.peer.mines,
            self._chain(),
            self._task(),
            self._training(),
            self._samples(),
            self._resources(),
        )

    def state_of(self, request: GetState.Request, response: GetState.Response) -> GetState.Response:
        """Answer a GetState call."""
        account = request.address or self._address
        state = self._peer.peer.state
        stamp = self._peer.get_clock().now().to_msg()
        response.status = status_to_message(self.status(), stamp)
        response.balance = state.balances.get(account, 0)
        response.next_sequence = (
            self._peer.peer.next_sequence(account) if account in state.sequences else 0
        )
        response.genesis_hash = self._genesis.hash.hex()
        known = sorted(self._peer.known_members.items(), key=lambda m: m[0] not in state.members)
        response.members = [
            Member(
                name=member.name,
                address=address,
                balance=state.balances.get(address, 0),
                active=address in state.members,
            )
            for address, member in known[:MOST_MEMBERS]
        ]
        waiting = self._peer.peer.waiting_transaction(bytes(request.transaction))
        if waiting is not None:
            response.waiting = [convert.transaction_to_message(waiting)]
        return response

    def _activity(self) -> VehicleState:
        if self._peer.nonce_search.running:
            return VehicleState.MINING
        if self._trainer is not None and self._trainer.running:
            return VehicleState.TRAINING
        if self.collecting:
            return VehicleState.COLLECTING
        if self._trainer is not None and self._perception.statistics.samples == 0:
            return VehicleState.NO_DATA
        return VehicleState.IDLE

    def _chain(self) -> ChainStatus:
        peer, state = self._peer.peer, self._peer.peer.state
        finality = peer.finality
        certificate = finality.certificate
        return ChainStatus(
            height=state.height,
            tip=state.tip_hash.hex(),
            balance=state.balances.get(self._address, 0),
            mempool=peer.pending_transactions,
            peers=peer.known_peers,
            refused=self._peer.refusals.count,
            last_refusal=self._peer.refusals.last,
            equivocations=tuple(self._peer.equivocations),
            final_height=finality.final.height,
            final=finality.final.hash.hex(),
            final_round=certificate.statement.round if certificate is not None else 0,
            conflict=self._peer.conflict,
        )

    def _task(self) -> TaskStatus:
        state = self._peer.peer.state
        task = state.latest_task
        if task is None:
            return TaskStatus()
        status = TaskStatus(
            task.model_id,
            task.current_iter,
            task.proposal.total_iter,
            task.global_cid,
            cancelled=state.task is None and not task.finished,
        )
        last = task.last
        if last is None:
            return status
        return replace(
            status, accuracy=last.accuracy, rule=last.rule, contributors=len(last.contributors)
        )

    def _training(self) -> TrainingStatus:
        trainer, task = self._trainer, self._peer.peer.state.latest_task
        seconds = self._peer.clock.last
        return TrainingStatus(
            epoch=trainer.epoch if trainer is not None else 0,
            local_epochs=task.proposal.local_epochs if task is not None else 0,
            loss=trainer.loss if trainer is not None else 0.0,
            update_bytes=trainer.update_bytes if trainer is not None else 0,
            training_seconds=seconds.training,
            storage_seconds=seconds.storage,
            consensus_seconds=seconds.consensus,
        )

    def _samples(self) -> DatasetStatus:
        statistics = self._perception.statistics
        return DatasetStatus(
            frames_seen=statistics.frames_seen,
            skipped=sum(statistics.skips.values()) + self._perception.lost_frames,
            samples=statistics.samples,
            class_samples=tuple(statistics.per_class.get(name, 0) for name in CLASSES),
        )

    def _resources(self) -> ResourceStatus:
        worker = self._trainer.worker if self._trainer is not None else None
        resident_mb = self._memory.megabytes(worker.pid if worker is not None else None)
        self._peak_mb = max(self._peak_mb, resident_mb)
        gpu_mb = worker.gpu_mb if worker is not None else 0
        traffic = self._storage.traffic
        return ResourceStatus(
            rss_mb=resident_mb,
            peak_rss_mb=self._peak_mb,
            gpu_mb=gpu_mb,
            gpu_limit_mb=self._trainer.gpu_limit_mb if self._trainer is not None and gpu_mb else 0,
            disk_free_mb=shutil.disk_usage(self._folder).free >> 20,
            fetched_bytes=traffic.fetched,
            served_bytes=traffic.served,
        )
