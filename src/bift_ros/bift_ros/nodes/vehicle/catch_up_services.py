"""Catch-up between vehicles: the services that give headers and blocks, and the calls to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from bift_msgs import srv
from rclpy.node import Node
from rclpy.task import Future

from bift_ros.admission.answers import (
    BLOCKS_PER_ANSWER,
    HEADERS_PER_ANSWER,
    QUORUMS_PER_ANSWER,
    answer_bytes,
    read_blocks,
    read_headers,
    read_keys,
    read_quorums,
)
from bift_ros.admission.gate import Gate
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.exceptions import StoreError
from bift_ros.consensus.exceptions import BadQuorum, InvalidBlock, InvalidTransaction
from bift_ros.consensus.fields import MAX_INTEGER
from bift_ros.consensus.payloads import HASH_BYTES
from bift_ros.consensus.transactions import Canonical
from bift_ros.limits.token_bucket import Bucket, Rate
from bift_ros.nodes.convert import octets
from bift_ros.peer.effects import (
    Refused,
    RequestBlocks,
    RequestHeaders,
    RequestKeys,
    RequestSnapshot,
)
from bift_ros.peer.events import (
    BlockReceived,
    BlocksAnswered,
    Event,
    HeadersAnswered,
    KeysAnswered,
    SnapshotAnswered,
)
from bift_ros.peer.group_keys import keys_before
from bift_ros.peer.snapshots import offer_of
from bift_ros.peer.voting import quorums_above

REQUESTS = Rate(400, 50)
ANSWERED_BYTES = Rate(256 * 2**20, 16 * 2**20)


class CatchUpServices:
    """Gives this vehicle's chain to others, on the fleet's bus.

    Anybody can ask, and ROS does not tell who does: there is one budget for all. Where it is spent,
    the answer is empty, and whoever caught up asks another vehicle or again.
    """

    def __init__(self, node: Node, chain: Blockchain, using: threading.Lock) -> None:
        """`using` is held while the chain is read."""
        self._chain, self._using = chain, using
        self._requests, self._bytes = Bucket(REQUESTS), Bucket(ANSWERED_BYTES)
        node.create_service(srv.GetHeaders, "get_headers", self._get_headers)
        node.create_service(srv.GetBlocks, "get_blocks", self._get_blocks)
        node.create_service(srv.GetSnapshot, "get_snapshot", self._get_snapshot)
        if chain.genesis.policy.encrypt_models:
            node.create_service(srv.GetGroupKeys, "get_group_keys", self._get_group_keys)

    def _get_headers(
        self, request: srv.GetHeaders.Request, response: srv.GetHeaders.Response
    ) -> srv.GetHeaders.Response:
        # The wire's 64 bits go beyond a block's height, and beyond what SQLite takes.
        first, limit = min(request.from_height, MAX_INTEGER), min(request.limit, HEADERS_PER_ANSWER)
        response.headers = self._answer(lambda: self._chain.canonical_headers(first, limit))
        if request.quorums:
            response.quorums = self._answer(lambda: self._quorums(request))
        return response

    def _quorums(self, request: srv.GetHeaders.Request) -> Iterable[Canonical]:
        found = quorums_above(self._chain, request.final_height, request.justified_round)
        return found[: request.quorums]

    def _get_blocks(
        self, request: srv.GetBlocks.Request, response: srv.GetBlocks.Response
    ) -> srv.GetBlocks.Response:
        hashes = bytes(request.hashes[: HASH_BYTES * BLOCKS_PER_ANSWER])
        names = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]

        def blocks() -> Iterable[Canonical]:
            found = [self._chain.block(name) for name in dict.fromkeys(names)]
            return [block for block in found if block is not None]

        response.blocks = self._answer(blocks)
        return response

    def _get_group_keys(
        self, request: srv.GetGroupKeys.Request, response: srv.GetGroupKeys.Response
    ) -> srv.GetGroupKeys.Response:
        def keys() -> Iterable[Canonical]:
            found, response.left = keys_before(self._chain.tip_state, request.before)
            return found

        response.keys = self._answer(keys)
        return response

    def _get_snapshot(
        self, request: srv.GetSnapshot.Request, response: srv.GetSnapshot.Response
    ) -> srv.GetSnapshot.Response:
        if self._allowed():
            with self._using:
                certificate, response.cid = offer_of(self._chain)
            response.certificate = octets(certificate)
            self._bytes.take(len(certificate))
        return response

    def _answer(self, find: Callable[[], Iterable[Canonical]]) -> Any:
        if not self._allowed():
            return octets(answer_bytes(()))
        with self._using:
            try:
                found = find()
            except StoreError:  # whoever asks gets it from another vehicle
                found = ()
        answer = answer_bytes(found)
        self._bytes.take(len(answer))
        return octets(answer)

    def _allowed(self) -> bool:
        """Count a request; whether the budget has room for it."""
        now = time.monotonic()
        if not (self._requests.holds(1, now) and self._bytes.holds(1, now)):
            return False
        self._requests.take(1)
        return True


class CatchUpClient:
    """Asks other vehicles on the fleet's bus and hands over what they answer."""

    def __init__(
        self,
        node: Node,
        chain: Blockchain,
        gate: Gate,
        post: Callable[[Event], None],
        refused: Callable[[Refused], None],
    ) -> None:
        self._node, self._chain, self._gate = node, chain, gate
        self._post, self._refused = post, refused
        self._clients: dict[tuple[str, str], Any] = {}
        self._asked: dict[Any, Future] = {}
        """The last question to each service."""

    def request_headers(self, effect: RequestHeaders) -> None:
        """Ask one vehicle for headers."""
        request = srv.GetHeaders.Request(
            from_height=effect.from_height,
            limit=HEADERS_PER_ANSWER,
            quorums=QUORUMS_PER_ANSWER,
            final_height=effect.final_height,
            justified_round=effect.justified_round,
        )

        def read(response: srv.GetHeaders.Response) -> Event:
            headers = read_headers(bytes(response.headers))
            return HeadersAnswered(effect.peer, headers, read_quorums(bytes(response.quorums)))

        nothing = HeadersAnswered(effect.peer, ())
        self._call(effect.peer, srv.GetHeaders, "get_headers", request, read, nothing)

    def request_blocks(self, effect: RequestBlocks) -> None:
        """Ask one vehicle for blocks."""
        request = srv.GetBlocks.Request(hashes=octets(b"".join(effect.hashes)))
        done = BlocksAnswered(effect.peer)

        def read(response: srv.GetBlocks.Response) -> Event:
            genesis, members = self._chain.genesis, self._chain.known_members
            for block in read_blocks(bytes(response.blocks), effect.hashes, genesis, members):
                self._gate.vouch(block)
                self._post(BlockReceived(block))
            return done

        self._call(effect.peer, srv.GetBlocks, "get_blocks", request, read, done)

    def request_keys(self, effect: RequestKeys) -> None:
        """Ask one vehicle for the keys of model files."""
        request = srv.GetGroupKeys.Request(before=effect.before)

        def read(response: srv.GetGroupKeys.Response) -> Event:
            genesis, members = self._chain.genesis, self._chain.known_members
            keys = read_keys(bytes(response.keys), genesis, members)
            return KeysAnswered(effect.peer, keys, response.left)

        nothing = KeysAnswered(effect.peer, (), 0)
        self._call(effect.peer, srv.GetGroupKeys, "get_group_keys", request, read, nothing)

    def request_snapshot(self, effect: RequestSnapshot) -> None:
        """Ask one vehicle for its newest snapshot."""

        def read(response: srv.GetSnapshot.Response) -> Event:
            return SnapshotAnswered(effect.peer, bytes(response.certificate), response.cid)

        nothing, request = SnapshotAnswered(effect.peer, b"", ""), srv.GetSnapshot.Request()
        self._call(effect.peer, srv.GetSnapshot, "get_snapshot", request, read, nothing)

    def _call(
        self,
        peer: str,
        kind: Any,
        name: str,
        request: Any,
        read: Callable[[Any], Event],
        nothing: Event,
    ) -> None:
        """Call a vehicle's service. Without an answer that can be read, the event is `nothing`."""
        member = self._chain.known_members[peer]
        client = self._clients.get((member.name, name))
        if client is None:
            client = self._node.create_client(kind, f"/{member.name}/{name}")
            self._clients[(member.name, name)] = client
        if not client.service_is_ready():
            self._post(nothing)
            return
        self._give_up(client)

        def answered(done: Future) -> None:
            try:
                event = read(done.result()) if done.result() is not None else nothing
            except (InvalidBlock, InvalidTransaction, BadQuorum) as error:
                self._refused(Refused(f"answer to {name}", peer, str(error)))
                event = nothing
            self._post(event)

        asked = client.call_async(request)
        self._asked[client] = asked
        asked.add_done_callback(answered)

    def _give_up(self, client: Any) -> None:
        """Forget the question before: whoever was slow with it has been passed over."""
        before = self._asked.pop(client, None)
        if before is not None:
            client.remove_pending_request(before)
