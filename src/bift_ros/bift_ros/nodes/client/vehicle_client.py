"""Calls a running vehicle's services, without ROS types: for consoles."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from bift_msgs import srv

from bift_ros.admission.answers import (
    BLOCKS_PER_ANSWER,
    HEADERS_PER_ANSWER,
    read_anonymous_blocks,
    read_headers,
)
from bift_ros.consensus.blocks import Block, Header
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.observer.monitor import listen
from bift_ros.peer.owner_requests import OwnerRequest, sign_request

NOBODY_HEARD = "no vehicle was heard; is one running in this ROS_DOMAIN_ID?"
_READS = 3
"""How often a chain is read that changes meanwhile."""


class VehicleUnreachableError(Exception):
    """A vehicle that does not answer; says which one and what to do."""


@dataclass(frozen=True)
class MemberState:
    """Somebody who is or was a member."""

    name: str
    address: str
    balance: int
    active: bool
    """Whether it is a member now."""


@dataclass(frozen=True)
class StateAnswer:
    """What a vehicle knows of its chain, of the members and of what it was asked about."""

    genesis_hash: bytes
    """What a transaction's signature must cover."""
    members: tuple[MemberState, ...]
    balance: int
    """Of the account asked about."""
    next_sequence: int
    """The number of the account's next transaction."""
    waiting: Transaction | None
    """The transaction asked about, where it waits for a block."""
    is_cancelled: bool
    """Whether votes have ended the chain's last task."""

    @property
    def names(self) -> dict[str, str]:
        """Address → name of everybody who is or was a member."""
        return {member.address: member.name for member in self.members}


@dataclass(frozen=True)
class OwnerJob:
    """How far a vehicle is with what its owner asked for."""

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
    spoken = listen(seconds, lambda heard: any(heard.values()))
    if not spoken:
        raise VehicleUnreachableError(NOBODY_HEARD)
    own = [name for name, status in spoken.items() if status.address == address]
    return (own or list(spoken))[0]


class VehicleClient:
    """Talks to one vehicle, on its own bus but for its chain; a context, or to be closed."""

    def __init__(self, name: str, seconds: float) -> None:
        """`seconds` is how long to wait for each answer."""
        self._name, self._seconds = name, seconds
        self._clients: dict[str, Any] = {}
        self._joined: dict[Bus, BusNode] = {}

    def __enter__(self) -> VehicleClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the ROS graph."""
        for joined in self._joined.values():
            joined.close()

    def state(self, address: str = "", transaction: bytes = b"") -> StateAnswer:
        """Ask about an account (empty: the vehicle's own) and a transaction, by its hash.

        Raises VehicleUnreachableError.
        """
        request = srv.GetState.Request(address=address, transaction=list(transaction))
        answer = self._call(srv.GetState, "get_state", request)
        waiting = [convert.transaction_from_message(message) for message in answer.waiting]
        return StateAnswer(
            bytes.fromhex(answer.genesis_hash),
            tuple(MemberState(m.name, m.address, m.balance, m.active) for m in answer.members),
            answer.balance,
            answer.next_sequence,
            waiting[0] if waiting else None,
            answer.status.task.cancelled,
        )

    def chain(self) -> list[Block]:
        """Read the vehicle's whole chain, as far as it is kept; each block names its parent.

        Nothing else in it is checked. Raises VehicleUnreachableError.
        """
        for _ in range(_READS):
            headers = self._headers()
            blocks = self._blocks([header.hash for header in headers])
            if len(blocks) == len(headers) and all(
                above.header.previous_hash == below.hash for below, above in pairwise(blocks)
            ):
                return blocks
        raise VehicleUnreachableError(f"{self._name} gives a chain with gaps: ask another vehicle")

    def _headers(self) -> list[Header]:
        headers: list[Header] = []
        while True:
            first = headers[-1].height + 1 if headers else 1
            request = srv.GetHeaders.Request(from_height=first, limit=HEADERS_PER_ANSWER)
            answer = self._call(srv.GetHeaders, "get_headers", request, Bus.FLEET)
            more = read_headers(bytes(answer.headers))
            if not more:
                return headers
            headers += (signed.header for signed in more)

    def _blocks(self, hashes: list[bytes]) -> list[Block]:
        blocks: list[Block] = []
        for start in range(0, len(hashes), BLOCKS_PER_ANSWER):
            wanted = hashes[start : start + BLOCKS_PER_ANSWER]
            request = srv.GetBlocks.Request(hashes=convert.octets(b"".join(wanted)))
            answer = self._call(srv.GetBlocks, "get_blocks", request, Bus.FLEET)
            blocks += read_anonymous_blocks(bytes(answer.blocks))
        return blocks

    def submit(self, transaction: Transaction) -> str:
        """Hand a transaction over; why it was refused, or nothing.

        Raises VehicleUnreachableError.
        """
        request = srv.SubmitTransaction.Request(
            transaction=convert.transaction_to_message(transaction)
        )
        answer = self._call(srv.SubmitTransaction, "submit_transaction", request)
        return "" if answer.accepted else answer.reason or "without a reason"

    def owner_job(self, key: KeyPair, genesis_hash: bytes, request: OwnerRequest) -> OwnerJob:
        """Begin a job as the vehicle's owner, or ask how far it is.

        Raises VehicleUnreachableError.
        """
        stamp = time.time_ns() // 1_000_000
        signature = sign_request(key, genesis_hash, request, stamp)
        message = srv.OwnerJob.Request(**asdict(request), stamp=stamp, signature=list(signature))
        answer = self._call(srv.OwnerJob, "owner_job", message)
        return OwnerJob(answer.done, answer.size, answer.here, answer.cid, answer.error)

    def _call(self, kind: Any, name: str, request: Any, bus: Bus = Bus.OWN) -> Any:
        joined = self._joined.get(bus)
        if joined is None:
            joined = self._joined[bus] = BusNode(bus, "bift_client")
        client = self._clients.get(name)
        if client is None:
            client = joined.node.create_client(kind, f"/{self._name}/{name}")
            self._clients[name] = client
        self._until(client.service_is_ready, joined)
        answer = client.call_async(request)
        self._until(answer.done, joined)
        return answer.result()

    def _until(self, condition: Callable[[], bool], joined: BusNode) -> None:
        deadline = time.monotonic() + self._seconds
        while not condition():
            if time.monotonic() >= deadline:
                raise VehicleUnreachableError(
                    f"{self._name} does not answer within {self._seconds:g} s: "
                    "does it run on this computer, in this ROS_DOMAIN_ID (`bift system show`)?"
                )
            joined.executor.spin_once(timeout_sec=0.05)
