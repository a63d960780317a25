"""Calls a running vehicle's services, without ROS types: for consoles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import rclpy
from bift_msgs import srv
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from bift_ros.chain.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert
from bift_ros.nodes.monitor import FleetMonitor
from bift_ros.nodes.owner import FileRequest, sign_request


class VehicleUnreachableError(Exception):
    """A vehicle that does not answer; says which one and what to do."""


@dataclass(frozen=True)
class Account:
    """What a vehicle knows of one account."""

    next_sequence: int
    """The number of the account's next transaction."""
    genesis_hash: bytes
    """What its signature must cover."""


@dataclass(frozen=True)
class FileJob:
    """How far a vehicle is with a file."""

    done: bool
    """Whether it has ended."""
    size: int
    """Bytes in all, 0 where unknown."""
    here: int
    """How many of them have come already."""
    cid: str
    """The file's CID, once it is known."""
    error: str
    """Why it failed, or nothing."""


def find_vehicle(address: str, seconds: float) -> str:
    """The name of the vehicle with this address, or else of any that runs.

    Raises VehicleUnreachableError where none is heard within `seconds`.
    """
    monitor = FleetMonitor()
    try:
        monitor.wait(lambda heard: any(heard.values()), seconds)
        spoken = {name: status for name, status in monitor.vehicles.items() if status}
    finally:
        monitor.close()
    if not spoken:
        raise VehicleUnreachableError("no vehicle was heard; is one running in this ROS_DOMAIN_ID?")
    own = [name for name, status in spoken.items() if status["address"] == address]
    return (own or list(spoken))[0]


class VehicleClient:
    """Talks to one vehicle, on a ROS context of its own; leave it with `close` or as a context."""

    def __init__(self, name: str, seconds: float) -> None:
        """`seconds` is how long to wait for each answer."""
        self._name, self._seconds = name, seconds
        self._clients: dict[str, Any] = {}
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node(
            "bift_client",
            context=self._context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> VehicleClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the ROS graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def account(self, address: str) -> Account:
        """Ask for one account. Raises VehicleUnreachableError."""
        answer = self._call(srv.GetState, "get_state", srv.GetState.Request(address=address))
        return Account(answer.next_sequence, bytes.fromhex(answer.genesis_hash))

    def submit(self, transaction: Transaction) -> str:
        """Hand a transaction over; why it was refused, or nothing.

        Raises VehicleUnreachableError.
        """
        request = srv.SubmitTransaction.Request(
            transaction=convert.transaction_to_message(transaction)
        )
        answer = self._call(srv.SubmitTransaction, "submit_transaction", request)
        return "" if answer.accepted else answer.reason or "without a reason"

    def file_job(self, key: KeyPair, genesis_hash: bytes, request: FileRequest) -> FileJob:
        """Begin a job as the vehicle's owner, or ask how far it is.

        Raises VehicleUnreachableError.
        """
        stamp = time.time_ns() // 1_000_000
        signature = sign_request(key, genesis_hash, request, stamp)
        message = srv.FileJob.Request(**asdict(request), stamp=stamp, signature=list(signature))
        answer = self._call(srv.FileJob, "file_job", message)
        return FileJob(answer.done, answer.size, answer.here, answer.cid, answer.error)

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        client = self._clients.get(name)
        if client is None:
            client = self._node.create_client(kind, f"/{self._name}/{name}")
            self._clients[name] = client
        self._until(client.service_is_ready)
        answer = client.call_async(request)
        self._until(answer.done)
        return answer.result()

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._seconds
        while not condition():
            if time.monotonic() >= deadline:
                raise VehicleUnreachableError(
                    f"{self._name} does not answer within {self._seconds:g} s: "
                    "does it run in this ROS_DOMAIN_ID (`bift system show`)?"
                )
            self._executor.spin_once(timeout_sec=0.05)
