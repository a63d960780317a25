"""Malformed ROS messages: each fault is refused with a reason, none crashes the conversion."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.admission.answers import read_headers
from bift_ros.chain.tips import SignedTip, sign_tip
from bift_ros.consensus.blocks import MIN_NONCE, Body, Header, ModelInfo, sign_block
from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.exceptions import (
    ChainError,
    MalformedBlock,
    MalformedTransaction,
)
from bift_ros.consensus.payloads import (
    MAX_ITERATIONS,
    MembershipVote,
    ModelUpdate,
    ProposeTask,
)
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert
from bift_ros.storage.cid import cid_of

pytestmark = pytest.mark.ros

KEY = KeyPair.from_seed(bytes(32))
GENESIS_HASH = bytes(range(32))
CID = cid_of(b"a file")


def over_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


def tip_message() -> msg.Tip:
    tip = sign_tip(
        KEY, GENESIS_HASH, height=1, tip_hash=bytes(32), learning_weight=2, provider="", stamp=3
    )
    return convert.tip_to_message(tip, "car")


def vote_message() -> msg.Transaction:
    vote = MembershipVote("join", "car", KEY.public_key)
    return convert.transaction_to_message(sign_transaction(KEY, 0, vote, GENESIS_HASH))


def update_message() -> msg.Transaction:
    payload = ModelUpdate("lights", 1, CID, CID, 0.5, 10)
    return convert.transaction_to_message(sign_transaction(KEY, 0, payload, GENESIS_HASH))


def propose_message() -> msg.Transaction:
    payload = ProposeTask("lights", CID, 3, "mixed", "a:b", 1, 1, 0.1, "sgd")
    return convert.transaction_to_message(sign_transaction(KEY, 0, payload, GENESIS_HASH))


def block_message() -> msg.Block:
    update = sign_transaction(KEY, 0, ModelUpdate("lights", 1, CID, CID, 0.5, 10), GENESIS_HASH)
    info = ModelInfo("lights", CID, CID, 2, 1, KEY.address, 0.5, "krum", (KEY.address,))
    body = Body((update,), info)
    header = Header(1, 1, bytes(32), body.hash, 1, KEY.address, 0, MIN_NONCE)
    return convert.block_to_message(sign_block(KEY, header, body))


def lenient(value: Any) -> bytes:
    """Canonical bytes, even of what has none such as a NaN or a negative zero."""
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, list):
        return encode([0] * len(value))[: -len(value) or None] + b"".join(map(lenient, value))
    return encode(value)


def fields_of(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


HEADER = fields_of(Header)
INFO = fields_of(ModelInfo)
TIP = fields_of(SignedTip)


def in_list(names: list[str], name: str, value: object) -> Callable[[bytes], bytes]:
    """Set one of the fields of a canonical list, by its name."""

    def change(data: bytes) -> bytes:
        items = decode(data)
        items[names.index(name)] = value
        return lenient(items)

    return change


def in_envelope(name: str, value: object) -> Callable[[bytes], bytes]:
    return in_list(["sender", "sequence", "payload", "signature"], name, value)


def in_payload(kind: Any, name: str, value: object) -> Callable[[bytes], bytes]:
    names = ["kind", *fields_of(kind)]

    def change(data: bytes) -> bytes:
        payload = decode(data)[2]
        return in_envelope("payload", in_list(names, name, value)(payload))(data)

    return change


def in_part(number: int, inside: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change a block's header or body, the hash of the body too."""

    def change(data: bytes) -> bytes:
        items = decode(data)
        items[number] = inside(items[number])
        if number == 1:
            items[0] = in_list(HEADER, "body_hash", sha256(items[1]))(items[0])
        return encode(items)

    return change


def in_header(name: str, value: object) -> Callable[[bytes], bytes]:
    return in_part(0, in_list(HEADER, name, value))


def in_info(name: str, value: object) -> Callable[[bytes], bytes]:
    def inside(body: bytes) -> bytes:
        transactions, info = decode(body)
        info[INFO.index(name)] = value
        return lenient([transactions, info])

    return in_part(1, inside)


def with_transactions(*transactions: bytes) -> Callable[[bytes], bytes]:
    return in_part(1, lambda body: encode([list(transactions), decode(body)[1]]))


TWO_PAYLOADS = encode(["transfer", KEY.address, 1]) * 2
BAD_UPDATES = {
    "no payload": in_envelope("payload", b""),
    "two payloads": in_envelope("payload", TWO_PAYLOADS),
    "no sender": in_envelope("sender", ""),
    "a long sender": in_envelope("sender", "a" * 40_000),
    "a sequence over 63 bits": in_envelope("sequence", 2**63),
    "a name with capitals": in_payload(ModelUpdate, "model_id", "Lights"),
    "a long name": in_payload(ModelUpdate, "model_id", "a" * 65),
    "iteration 0": in_payload(ModelUpdate, "iteration", 0),
    "too high an iteration": in_payload(ModelUpdate, "iteration", MAX_ITERATIONS + 1),
    "no CID": in_payload(ModelUpdate, "cid", "bafybeinot"),
    "a long CID": in_payload(ModelUpdate, "base_cid", "b" * 40_000),
    "a NaN accuracy": in_payload(ModelUpdate, "accuracy", float("nan")),
    "a high accuracy": in_payload(ModelUpdate, "accuracy", 1.0001),
    "a negative zero": in_payload(ModelUpdate, "accuracy", -0.0),
    "no samples": in_payload(ModelUpdate, "sample_count", 0),
    "too many samples": in_payload(ModelUpdate, "sample_count", 2**32 - 1),
}
BAD_PROPOSALS = {
    "an unknown rule": in_payload(ProposeTask, "rule", "median"),
    "an infinite rate": in_payload(ProposeTask, "learning_rate", float("inf")),
    "a rate of 0": in_payload(ProposeTask, "learning_rate", 0.0),
    "no epochs": in_payload(ProposeTask, "local_epochs", 0),
    "a shell command": in_payload(ProposeTask, "architecture", "$(reboot)"),
}
BAD_HEADERS = {
    "height 0": in_header("height", 0),
    "a height over 63 bits": in_header("height", 2**64 - 1),
    "a time before 1970": in_header("timestamp", -1),
    "no miner": in_header("miner", ""),
    "too high a difficulty": in_header("difficulty", 255),
    "a low nonce": in_header("nonce", 1),
}
BAD_BLOCKS = {
    **BAD_HEADERS,
    "a NaN accuracy": in_info("accuracy", float("nan")),
    "no contributors": in_info("contributors", []),
    "a contributor twice": in_info("contributors", [KEY.address] * 2),
    "too many contributors": in_info("contributors", [KEY.address] * 1001),
    "an iteration past the end": in_info("current_iter", 3),
    "a malformed transaction": with_transactions(encode(["nobody", 0, TWO_PAYLOADS, bytes(64)])),
    "an empty transaction": with_transactions(b""),
}
BAD_VOTES = {
    "an unknown action": in_payload(MembershipVote, "action", "expel"),
    "no name": in_payload(MembershipVote, "name", ""),
    "a long name": in_payload(MembershipVote, "name", "a" * 65),
    "a name for a terminal": in_payload(MembershipVote, "name", "\x1b[2J"),
    "two votes": in_envelope("payload", TWO_PAYLOADS),
}
BAD_TIPS = {
    "no peer": in_list(TIP, "sender", ""),
    "a hash that is no hex": in_list(TIP, "hash", "no hex"),
    "no hash": in_list(TIP, "hash", b""),
    "a short hash": in_list(TIP, "hash", b"\0"),
    "a long hash": in_list(TIP, "hash", bytes(300)),
    "a height over 63 bits": in_list(TIP, "height", 2**63),
    "a weight over 63 bits": in_list(TIP, "learning_weight", 2**64 - 1),
    "a long address": in_list(TIP, "provider", "h" * 257),
    "a line break in the address": in_list(TIP, "provider", "http://a\nb"),
    "a time before 1970": in_list(TIP, "stamp", -1),
}


def faulty(message: Any, change: Callable[[bytes], bytes]) -> Any:
    data = change(bytes(message.canonical))
    assert data != bytes(message.canonical)
    message.canonical = convert.octets(data)
    return over_the_wire(message)


@pytest.mark.parametrize("fault", BAD_VOTES)
def test_a_malformed_vote_is_refused(fault: str) -> None:
    message = faulty(vote_message(), BAD_VOTES[fault])
    with pytest.raises(MalformedTransaction, match=r"no (transaction|payload): .+"):
        convert.transaction_from_message(message)


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_a_malformed_header_is_refused(fault: str) -> None:
    header, _, signature = decode(BAD_HEADERS[fault](bytes(block_message().canonical)))
    with pytest.raises(MalformedBlock, match=r"no signed header: .+"):
        read_headers(encode([encode([header, signature])]))


@pytest.mark.parametrize("fault", BAD_TIPS)
def test_a_malformed_tip_is_refused(fault: str) -> None:
    message = faulty(tip_message(), BAD_TIPS[fault])
    with pytest.raises(ChainError) as caught:
        convert.tip_from_message(message)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("fault", BAD_UPDATES)
def test_a_malformed_update_is_refused(fault: str) -> None:
    message = faulty(update_message(), BAD_UPDATES[fault])
    with pytest.raises(MalformedTransaction, match=r"no (transaction|payload): .+"):
        convert.transaction_from_message(message)


@pytest.mark.parametrize("fault", BAD_PROPOSALS)
def test_a_malformed_proposal_is_refused(fault: str) -> None:
    message = faulty(propose_message(), BAD_PROPOSALS[fault])
    with pytest.raises(MalformedTransaction, match=r"no (transaction|payload): .+"):
        convert.transaction_from_message(message)


@pytest.mark.parametrize("fault", BAD_BLOCKS)
def test_a_malformed_block_is_refused(fault: str) -> None:
    message = faulty(block_message(), BAD_BLOCKS[fault])
    with pytest.raises(MalformedBlock, match=r"no (block|body): .+") as caught:
        convert.block_from_message(message)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", [msg.Transaction, msg.Block])
def test_empty_messages_are_refused(kind: Any) -> None:
    if kind is msg.Block:
        with pytest.raises(MalformedBlock):
            convert.block_from_message(over_the_wire(kind()))
    else:
        with pytest.raises(MalformedTransaction):
            convert.transaction_from_message(over_the_wire(kind()))


def test_text_that_is_not_utf8_on_the_wire_is_refused() -> None:
    message = update_message()
    sender = KEY.address.encode()
    message.canonical = convert.octets(
        bytes(message.canonical).replace(sender, b"\xff" + sender[1:])
    )
    with pytest.raises(MalformedTransaction, match="UTF-8"):
        convert.transaction_from_message(over_the_wire(message))


def test_what_stands_beside_the_canonical_bytes_is_read_by_nobody() -> None:
    for message, read in (
        (vote_message(), convert.transaction_from_message),
        (block_message(), convert.block_from_message),
        (tip_message(), convert.tip_from_message),
    ):
        said = read(message)
        empty = type(message)(canonical=message.canonical)
        assert read(over_the_wire(empty)) == said


def test_canonical_bytes_are_octets_in_the_message() -> None:
    message = over_the_wire(block_message())
    assert message.canonical.typecode == "B"
