"""Catch-up between vehicles: the services that give headers and blocks, and the calls to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_msgs import srv
from rclpy.node import Node

from bift_ros.chain.blockchain import Blockchain
from bift_ros.consensus.exceptions import FieldError, MalformedBlock
from bift_ros.consensus.fields import MAX_INTEGER
from bift_ros.nodes import convert
from bift_ros.peer.catch_up import BLOCKS_PER_ANSWER, HEADERS_PER_ANSWER
from bift_ros.peer.effects import RequestBlocks, RequestHeaders, RequestKeys
from bift_ros.peer.events import BlocksAnswered, Event, HeadersAnswered, KeysAnswered
from bift_ros.peer.group_keys import keys_before


class CatchUpServices:
    """Gives this vehicle's chain to others."""

    def __init__(self, node: Node, chain: Blockchain, provider: str) -> None:
        self._chain, self._provider = chain, provider
        node.create_service(srv.GetHeaders, "get_headers", self._get_headers)
        node.create_service(srv.GetBlocks, "get_blocks", self._get_blocks)
        if chain.genesis.policy.encrypt_models:
            node.create_service(srv.GetGroupKeys, "get_group_keys", self._get_group_keys)

    def _get_headers(
        self, request: srv.GetHeaders.Request, response: srv.GetHeaders.Response
    ) -> srv.GetHeaders.Response:
        # The wire's 64 bits go beyond a block's height, and beyond what SQLite takes.
        first, limit = min(request.from_height, MAX_INTEGER), min(request.limit, HEADERS_PER_ANSWER)
        response.headers = [
            convert.signed_header_to_message(signed)
            for signed in self._chain.canonical_headers(first, limit)
        ]
        return response

    def _get_blocks(
        self, request: srv.GetBlocks.Request, response: srv.GetBlocks.Response
    ) -> srv.GetBlocks.Response:
        wanted = [bytes(block_hash.sha256) for block_hash in request.hashes[:BLOCKS_PER_ANSWER]]
        found = [self._chain.block(block_hash) for block_hash in wanted]
        response.blocks = [
            convert.block_to_message(block, self._provider) for block in found if block is not None
        ]
        return response

    def _get_group_keys(
        self, request: srv.GetGroupKeys.Request, response: srv.GetGroupKeys.Response
    ) -> srv.GetGroupKeys.Response:
        keys, response.left = keys_before(self._chain.tip_state, request.before)
        response.keys = [convert.group_key_to_message(key) for key in keys]
        return response


class CatchUpClient:
    """Asks other vehicles and hands over what they answer."""

    def __init__(
        self,
        node: Node,
        chain: Blockchain,
        take: Callable[[Event], None],
        post: Callable[[Event], None],
        on_block: Callable[[Any], None],
    ) -> None:
        self._node, self._chain = node, chain
        self._take, self._post, self._on_block = take, post, on_block
        self._clients: dict[tuple[str, str], Any] = {}

    def request_headers(self, effect: RequestHeaders) -> None:
        """Ask one vehicle for headers."""
        request = srv.GetHeaders.Request(from_height=effect.from_height, limit=HEADERS_PER_ANSWER)
        self._call(
            effect.peer,
            srv.GetHeaders,
            "get_headers",
            request,
            lambda response: self._headers_came(effect.peer, response),
            HeadersAnswered(effect.peer, ()),
        )

    def request_blocks(self, effect: RequestBlocks) -> None:
        """Ask one vehicle for blocks."""
        request = srv.GetBlocks.Request(hashes=[convert.block_hash(h) for h in effect.hashes])
        self._call(
            effect.peer,
            srv.GetBlocks,
            "get_blocks",
            request,
            lambda response: self._blocks_came(effect.peer, response),
            BlocksAnswered(effect.peer),
        )

    def request_keys(self, effect: RequestKeys) -> None:
        """Ask one vehicle for the keys of model files."""
        self._call(
            effect.peer,
            srv.GetGroupKeys,
            "get_group_keys",
            srv.GetGroupKeys.Request(before=effect.before),
            lambda response: self._keys_came(effect.peer, response),
            KeysAnswered(effect.peer, (), 0),
        )

    def _call(
        self,
        peer: str,
        kind: Any,
        name: str,
        request: Any,
        answered: Callable[[Any], None],
        nothing: Event,
    ) -> None:
        """Call a vehicle's service; where it is not there, post the answer `nothing`."""
        member = self._chain.known_members[peer]
        client = self._clients.get((member.name, name))
        if client is None:
            client = self._node.create_client(kind, f"/{member.name}/{name}")
            self._clients[(member.name, name)] = client
        if client.service_is_ready():
            client.call_async(request).add_done_callback(lambda done: answered(done.result()))
        else:
            self._post(nothing)

    def _headers_came(self, peer: str, response: srv.GetHeaders.Response | None) -> None:
        messages = response.headers if response is not None else []
        try:
            headers = tuple(convert.signed_header_from_message(m) for m in messages)
        except MalformedBlock:
            headers = ()  # which the peer takes as no help
        self._take(HeadersAnswered(peer, headers))

    def _keys_came(self, peer: str, response: srv.GetGroupKeys.Response | None) -> None:
        messages = response.keys if response is not None else []
        try:
            keys = tuple(convert.group_key_from_message(m) for m in messages)
        except FieldError:
            keys = ()  # which the peer takes as no help
        self._take(KeysAnswered(peer, keys, response.left if response is not None else 0))

    def _blocks_came(self, peer: str, response: srv.GetBlocks.Response | None) -> None:
        for message in response.blocks if response is not None else []:
            self._on_block(message)
        self._take(BlocksAnswered(peer))
