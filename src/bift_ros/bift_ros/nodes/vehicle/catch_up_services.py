"""Catch-up between vehicles: the services that give headers and blocks, and the calls to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bift_msgs import srv
from rclpy.node import Node
from rclpy.task import Future

from bift_ros.chain.blockchain import Blockchain
from bift_ros.consensus.exceptions import FieldError, MalformedBlock
from bift_ros.consensus.fields import MAX_INTEGER
from bift_ros.nodes import convert
from bift_ros.peer.catch_up import BLOCKS_PER_ANSWER, HEADERS_PER_ANSWER
from bift_ros.peer.effects import RequestBlocks, RequestHeaders, RequestKeys
from bift_ros.peer.events import BlocksAnswered, Event, HeadersAnswered, KeysAnswered
from bift_ros.peer.group_keys import keys_before


class CatchUpServices:
    """Gives this vehicle's chain to others, on the fleet's bus."""

    def __init__(self, node: Node, chain: Blockchain, using: threading.Lock) -> None:
        """`using` is held while the chain is read."""
        self._chain, self._using = chain, using
        node.create_service(srv.GetHeaders, "get_headers", self._get_headers)
        node.create_service(srv.GetBlocks, "get_blocks", self._get_blocks)
        if chain.genesis.policy.encrypt_models:
            node.create_service(srv.GetGroupKeys, "get_group_keys", self._get_group_keys)

    def _get_headers(
        self, request: srv.GetHeaders.Request, response: srv.GetHeaders.Response
    ) -> srv.GetHeaders.Response:
        # The wire's 64 bits go beyond a block's height, and beyond what SQLite takes.
        first, limit = min(request.from_height, MAX_INTEGER), min(request.limit, HEADERS_PER_ANSWER)
        with self._using:
            headers = self._chain.canonical_headers(first, limit)
        response.headers = [convert.signed_header_to_message(signed) for signed in headers]
        return response

    def _get_blocks(
        self, request: srv.GetBlocks.Request, response: srv.GetBlocks.Response
    ) -> srv.GetBlocks.Response:
        wanted = [bytes(block_hash.sha256) for block_hash in request.hashes[:BLOCKS_PER_ANSWER]]
        with self._using:
            found = [self._chain.block(block_hash) for block_hash in wanted]
        response.blocks = [convert.block_to_message(block) for block in found if block is not None]
        return response

    def _get_group_keys(
        self, request: srv.GetGroupKeys.Request, response: srv.GetGroupKeys.Response
    ) -> srv.GetGroupKeys.Response:
        with self._using:
            state = self._chain.tip_state
        keys, response.left = keys_before(state, request.before)
        response.keys = [convert.group_key_to_message(key) for key in keys]
        return response


class CatchUpClient:
    """Asks other vehicles on the fleet's bus and hands over what they answer."""

    def __init__(
        self,
        node: Node,
        chain: Blockchain,
        post: Callable[[Event], None],
        on_block: Callable[[Any], None],
    ) -> None:
        self._node, self._chain = node, chain
        self._post, self._on_block = post, on_block
        self._clients: dict[tuple[str, str], Any] = {}

    def request_headers(self, effect: RequestHeaders) -> None:
        """Ask one vehicle for headers."""
        request = srv.GetHeaders.Request(from_height=effect.from_height, limit=HEADERS_PER_ANSWER)

        def read(response: srv.GetHeaders.Response) -> Event:
            headers = map(convert.signed_header_from_message, response.headers)
            return HeadersAnswered(effect.peer, tuple(headers))

        nothing = HeadersAnswered(effect.peer, ())
        self._call(effect.peer, srv.GetHeaders, "get_headers", request, read, nothing)

    def request_blocks(self, effect: RequestBlocks) -> None:
        """Ask one vehicle for blocks."""
        request = srv.GetBlocks.Request(hashes=[convert.block_hash(h) for h in effect.hashes])
        done = BlocksAnswered(effect.peer)

        def read(response: srv.GetBlocks.Response) -> Event:
            for message in response.blocks:
                self._on_block(message)
            return done

        self._call(effect.peer, srv.GetBlocks, "get_blocks", request, read, done)

    def request_keys(self, effect: RequestKeys) -> None:
        """Ask one vehicle for the keys of model files."""
        request = srv.GetGroupKeys.Request(before=effect.before)

        def read(response: srv.GetGroupKeys.Response) -> Event:
            keys = tuple(map(convert.group_key_from_message, response.keys))
            return KeysAnswered(effect.peer, keys, response.left)

        nothing = KeysAnswered(effect.peer, (), 0)
        self._call(effect.peer, srv.GetGroupKeys, "get_group_keys", request, read, nothing)

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

        def answered(done: Future) -> None:
            try:
                event = read(done.result()) if done.result() is not None else nothing
            except (MalformedBlock, FieldError):
                event = nothing
            self._post(event)

        client.call_async(request).add_done_callback(answered)
