"""Every string and sequence of bift_msgs has a bound, and the consensus' own where it has one."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg, srv
from rclpy.serialization import serialize_message
from rosidl_parser.definition import (
    AbstractNestedType,
    AbstractString,
    AbstractType,
    Array,
    BoundedSequence,
    BoundedString,
)

from bift_ros.admission import answers
from bift_ros.admission.cdr import READABLE_BYTES
from bift_ros.chain.tips import MAX_TIP_BYTES, SignedTip
from bift_ros.consensus.blocks import (
    MAX_BLOCK_BYTES,
    MAX_HEADER_BYTES,
    MAX_NONCE,
    MAX_SIGNED_HEADER_BYTES,
    Header,
    SignedHeader,
)
from bift_ros.consensus.genesis import MAX_DIFFICULTY, MAX_MEMBERS
from bift_ros.consensus.group_key import MAX_LINKS, GroupKey
from bift_ros.consensus.payloads import HASH_BYTES, MAX_VOTE_BYTES, ProposeTask, ShareFile
from bift_ros.consensus.quorums import MAX_QUORUM_BYTES
from bift_ros.consensus.transactions import MAX_GROUP_KEY_BYTES, Transaction
from bift_ros.identity.sealing import COPY_BYTES, NAME_BYTES
from bift_ros.limits.limited_log import MAX_CHARACTERS
from bift_ros.nodes import convert
from bift_ros.nodes.status_message import MAX_LINES, MAX_TEXT
from bift_ros.nodes.vehicle.status import MOST_MEMBERS
from bift_ros.peer.owner_requests import LONGEST
from bift_ros.perception.classes import CLASSES, MAX_LABELS
from bift_ros.storage.cid import cid_of

pytestmark = pytest.mark.ros
MOST = 2**63 - 1


def messages() -> Iterator[type]:
    for _, found in inspect.getmembers(msg, inspect.isclass):
        yield found
    for _, found in inspect.getmembers(srv, inspect.isclass):
        if hasattr(found, "Request"):  # others are for introspection
            yield from (found.Request, found.Response)


def slots(kind: Any) -> dict[str, AbstractType]:
    names = [name.lstrip("_") for name in kind.__slots__ if name != "_check_fields"]
    return dict(zip(names, kind.SLOT_TYPES, strict=True))


def is_bounded(kind: AbstractType) -> bool:
    if isinstance(kind, AbstractNestedType):
        return isinstance(kind, Array | BoundedSequence) and is_bounded(kind.value_type)
    return not isinstance(kind, AbstractString) or isinstance(kind, BoundedString)


@pytest.mark.parametrize("kind", list(messages()), ids=lambda kind: kind.__name__)
def test_every_string_and_sequence_has_a_bound(kind: type) -> None:
    assert [name for name, slot in slots(kind).items() if not is_bounded(slot)] == []


def test_a_slot_without_a_bound_is_found() -> None:
    header = importlib.import_module("std_msgs.msg").Header
    assert not is_bounded(slots(header)["frame_id"])


@pytest.mark.parametrize(
    ("kind", "field", "bound"),
    [
        (msg.Transaction, "canonical", MAX_GROUP_KEY_BYTES),
        (msg.Block, "canonical", MAX_BLOCK_BYTES),
        (msg.Tip, "canonical", MAX_TIP_BYTES),
        (srv.GetHeaders.Response, "headers", answers.MAX_HEADERS_BYTES),
        (srv.GetBlocks.Request, "hashes", answers.BLOCKS_PER_ANSWER * HASH_BYTES),
        (srv.GetBlocks.Response, "blocks", answers.MAX_BLOCKS_BYTES),
        (srv.GetGroupKeys.Response, "keys", answers.MAX_KEYS_BYTES),
        (srv.GetSnapshot.Response, "certificate", MAX_QUORUM_BYTES),
        (srv.GetState.Request, "transaction", HASH_BYTES),
        (srv.GetState.Response, "members", MOST_MEMBERS),
        (srv.GetState.Response, "waiting", 1),
        (srv.SubmitTransaction.Response, "reason", MAX_CHARACTERS),
        (msg.ChainStatus, "last_refusal", MAX_TEXT),
        (msg.ChainStatus, "equivocations", MAX_LINES),
        (msg.TrafficLightArray, "lights", MAX_LABELS),
        *((srv.OwnerJob.Request, name, longest) for name, longest in LONGEST.items()),
    ],
)
def test_bounds_are_those_of_the_code(kind: type, field: str, bound: int) -> None:
    assert slots(kind)[field].maximum_size == bound


def test_the_status_has_room_for_every_class() -> None:
    assert slots(msg.DatasetStatus)["class_samples"].maximum_size >= len(CLASSES)


def test_the_largest_header_has_the_stated_size() -> None:
    header = Header(MOST, MOST, bytes(32), bytes(32), 1, "a" * 40, MAX_DIFFICULTY, MAX_NONCE)
    assert len(header.to_bytes()) == MAX_HEADER_BYTES
    signed = SignedHeader(header, bytes(64))
    assert len(signed.to_bytes()) == MAX_SIGNED_HEADER_BYTES
    full = answers.answer_bytes([signed] * answers.HEADERS_PER_ANSWER)
    assert len(full) == answers.MAX_HEADERS_BYTES
    assert answers.read_headers(full) == (signed,) * answers.HEADERS_PER_ANSWER


def test_the_fields_for_people_of_the_largest_messages_fit() -> None:
    """Every one of these would raise where a field is over its bound."""
    cid = cid_of(b"")
    share = ShareFile("n" * 100, cid, 2**50, "\\" * 200)
    task = ProposeTask(
        "n" * 64, cid, 10**6, "multi_krum", "f" * 128, 10_000, 2**20, 1 / 3, "o" * 32
    )
    key = GroupKey(
        bytes(32),
        bytes(32),
        bytes(COPY_BYTES * MAX_MEMBERS),
        bytes(NAME_BYTES * MAX_LINKS),
        bytes(COPY_BYTES * MAX_LINKS),
    )
    for payload in (share, task, key):
        transaction = Transaction("a" * 40, MOST, payload, bytes(64))
        message = convert.transaction_to_message(transaction)
        assert len(message.canonical) <= MAX_GROUP_KEY_BYTES
        assert json.loads(message.payload)
        assert len(serialize_message(message)) <= len(message.canonical) + READABLE_BYTES
    tip = SignedTip(
        "a" * 40, MOST, bytes(32), MOST, "p" * 256, MOST, MOST,
        bytes(MAX_VOTE_BYTES), bytes(MAX_VOTE_BYTES), bytes(64),
    )  # fmt: skip
    assert len(serialize_message(convert.tip_to_message(tip, "n" * 64))) <= (
        MAX_TIP_BYTES + READABLE_BYTES
    )


@pytest.mark.parametrize("kind", [msg.Transaction, msg.Block, msg.Tip])
def test_a_message_with_every_text_at_its_bound_is_read(kind: Any) -> None:
    texts = {
        name: "x" * slot.maximum_size
        for name, slot in slots(kind).items()
        if isinstance(slot, BoundedString)
    }
    assert len(serialize_message(kind(**texts))) <= READABLE_BYTES
