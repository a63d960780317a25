"""Malformed ROS messages: each fault is refused with a reason, none crashes the conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import MIN_NONCE, Body, Header, ModelInfo, sign_block
from bift_ros.consensus.exceptions import (
    FieldError,
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


def header_message() -> msg.SignedHeader:
    return msg.SignedHeader(header=block_message().header, signature=np.zeros(64, np.uint8))


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


def setting(where: str, value: object) -> Callable[[Any], None]:
    """Set one field, by its path: `model_update[0].cid`."""

    def change(message: Any) -> None:
        *path, last = where.split(".")
        for part in path:
            name, _, index = part.partition("[")
            message = getattr(message, name)
            if index:
                message = message[int(index[:-1])]
        setattr(message, last, value)

    return change


BAD_UPDATES = {
    "no payload": setting("model_update", []),
    "two payloads": setting("transfer", [msg.Transfer(recipient=KEY.address, amount=1)]),
    "no sender": setting("sender", ""),
    "a long sender": setting("sender", "a" * 1_000_000),
    "a sequence over 63 bits": setting("sequence", 2**63),
    "a name with capitals": setting("model_update[0].model_id", "Lights"),
    "a long name": setting("model_update[0].model_id", "a" * 65),
    "iteration 0": setting("model_update[0].iteration", 0),
    "too high an iteration": setting("model_update[0].iteration", MAX_ITERATIONS + 1),
    "no CID": setting("model_update[0].cid", "bafybeinot"),
    "a long CID": setting("model_update[0].base_cid", "b" * 1_000_000),
    "a NaN accuracy": setting("model_update[0].accuracy", float("nan")),
    "a high accuracy": setting("model_update[0].accuracy", 1.0001),
    "a negative zero": setting("model_update[0].accuracy", -0.0),
    "no samples": setting("model_update[0].sample_count", 0),
    "too many samples": setting("model_update[0].sample_count", 2**32 - 1),
}
BAD_PROPOSALS = {
    "an unknown rule": setting("propose_task[0].rule", "median"),
    "an infinite rate": setting("propose_task[0].learning_rate", float("inf")),
    "a rate of 0": setting("propose_task[0].learning_rate", 0.0),
    "no epochs": setting("propose_task[0].local_epochs", 0),
    "a shell command": setting("propose_task[0].architecture", "$(reboot)"),
}
BAD_BLOCKS = {
    "height 0": setting("header.height", 0),
    "a height over 63 bits": setting("header.height", 2**64 - 1),
    "a time before 1970": setting("header.timestamp", -1),
    "no miner": setting("header.miner", ""),
    "too high a difficulty": setting("header.difficulty", 255),
    "a low nonce": setting("header.nonce", 1),
    "a NaN accuracy": setting("model_info[0].accuracy", float("nan")),
    "no contributors": setting("model_info[0].contributors", []),
    "a contributor twice": setting("model_info[0].contributors", [KEY.address] * 2),
    "too many contributors": setting("model_info[0].contributors", [KEY.address] * 100_000),
    "an iteration past the end": setting("model_info[0].current_iter", 3),
    "a malformed transaction": setting("transactions[0].sender", "nobody"),
    "an empty transaction": setting("transactions", [msg.Transaction()]),
}
BAD_VOTES = {
    "an unknown action": setting("membership_vote[0].action", "expel"),
    "no name": setting("membership_vote[0].name", ""),
    "a long name": setting("membership_vote[0].name", "a" * 65),
    "a name for a terminal": setting("membership_vote[0].name", "\x1b[2J"),
    "two votes": setting("transfer", [msg.Transfer(recipient=KEY.address, amount=1)]),
}
BAD_HEADERS = {name: change for name, change in BAD_BLOCKS.items() if name in (
    "height 0", "a height over 63 bits", "a time before 1970", "no miner",
    "too high a difficulty", "a low nonce",
)}  # fmt: skip
BAD_TIPS = {
    "no peer": setting("peer", ""),
    "a hash that is no hex": setting("hash", "no hex"),
    "no hash": setting("hash", ""),
    "a short hash": setting("hash", "00"),
    "a long hash": setting("hash", "00" * 1_000_000),
    "a height over 63 bits": setting("height", 2**63),
    "a weight over 63 bits": setting("learning_weight", 2**64 - 1),
    "a long address": setting("provider", "h" * 257),
    "a line break in the address": setting("provider", "http://a\nb"),
    "a time before 1970": setting("stamp", -1),
}


@pytest.mark.parametrize("fault", BAD_VOTES)
def test_a_malformed_vote_is_refused(fault: str) -> None:
    message = vote_message()
    BAD_VOTES[fault](message)
    with pytest.raises(MalformedTransaction, match=r"no transaction: .+"):
        convert.transaction_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_a_malformed_header_is_refused(fault: str) -> None:
    message = header_message()
    BAD_HEADERS[fault](message)
    with pytest.raises(MalformedBlock, match=r"no header: .+"):
        convert.signed_header_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_TIPS)
def test_a_malformed_tip_is_refused(fault: str) -> None:
    message = tip_message()
    BAD_TIPS[fault](message)
    with pytest.raises(FieldError) as caught:
        convert.tip_from_message(over_the_wire(message))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("fault", BAD_UPDATES)
def test_a_malformed_update_is_refused(fault: str) -> None:
    message = update_message()
    BAD_UPDATES[fault](message)
    with pytest.raises(MalformedTransaction, match=r"no transaction: .+"):
        convert.transaction_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_PROPOSALS)
def test_a_malformed_proposal_is_refused(fault: str) -> None:
    message = propose_message()
    BAD_PROPOSALS[fault](message)
    with pytest.raises(MalformedTransaction, match=r"no transaction: .+"):
        convert.transaction_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_BLOCKS)
def test_a_malformed_block_is_refused(fault: str) -> None:
    message = block_message()
    BAD_BLOCKS[fault](message)
    with pytest.raises(MalformedBlock, match=r"no block: .+") as caught:
        convert.block_from_message(over_the_wire(message))
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
    data = serialize_message(update_message())
    sender = KEY.address.encode()
    broken = data.replace(sender, b"\xff" + sender[1:])
    assert broken != data
    with pytest.raises(MalformedTransaction, match="sender"):
        convert.transaction_from_message(deserialize_message(broken, msg.Transaction))


def test_signatures_and_hashes_are_octets_in_the_message() -> None:
    message = block_message()
    assert message.signature.dtype == np.uint8
    assert message.signature.shape == (64,)
    assert message.header.previous_hash.shape == (32,)
