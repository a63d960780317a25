"""The service through which a vehicle's owner has it do things."""

from __future__ import annotations

import time

from bift_msgs import srv
from rclpy.node import Node

from bift_ros.consensus.exceptions import ChainError, FieldError
from bift_ros.nodes.vehicle.file_jobs import FileJobs, Job
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.peer.events import SetMining
from bift_ros.peer.owner_requests import START_MINING, STOP_MINING, OwnerCheck, OwnerRequest
from bift_ros.storage.interface import StorageError

_ACTIONS = (*FileJobs.ACTIONS, START_MINING, STOP_MINING)
_MAX_ERROR = 1000
"""Characters of an answer's error."""


class OwnerService:
    """Answers `owner_job`: each call begins a job, or tells how one stands."""

    def __init__(self, node: Node, owner: OwnerCheck, files: FileJobs, peer: PeerNode) -> None:
        self._owner, self._files, self._peer = owner, files, peer
        node.create_service(srv.OwnerJob, "owner_job", self._answer)

    def _answer(
        self, message: srv.OwnerJob.Request, response: srv.OwnerJob.Response
    ) -> srv.OwnerJob.Response:
        now, request = time.time_ns() // 1_000_000, OwnerRequest("")
        try:
            request = OwnerRequest(
                message.action, message.path, message.cid, message.name, message.description
            )
            self._owner.check(request, message.stamp, bytes(message.signature), now)
            job = self._job(request)
        except (ChainError, StorageError, OSError) as error:
            job = Job(request, error=str(error), done=True)
        response.done, response.size, response.here = job.done, job.size, job.here
        response.cid, response.error = job.cid, job.error[:_MAX_ERROR]
        return response

    def _job(self, request: OwnerRequest) -> Job:
        action = request.action
        if action in FileJobs.ACTIONS:
            return self._files.ask(request)
        if action not in _ACTIONS:
            raise FieldError(f"action: {action!r:.60} is none of {', '.join(_ACTIONS)}")
        self._peer.take(SetMining(action == START_MINING))
        return Job(request, done=True)
