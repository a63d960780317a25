"""What strangers publish on the fleet's topics becomes no object; what is honest always fits."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Block, BlockHeader, ModelInfo, Tip, Transaction, WithdrawFile
from rclpy.serialization import serialize_message

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Body
from bift_ros.consensus.exceptions import UnknownSender
from bift_ros.consensus.payloads import WithdrawFile as Withdrawal
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes import convert
from bift_ros.nodes.vehicle import arrivals
from bift_ros.nodes.vehicle.arrivals import LARGEST, ArrivalError, read_arrival

pytestmark = pytest.mark.ros
MEMBER, STRANGER = (KeyPair.from_seed(bytes([n] * 32)) for n in range(2))
MEMBERS = {MEMBER.address}


def transaction(key: KeyPair, sequence: int = 0) -> Transaction:
    signed = sign_transaction(key, sequence, Withdrawal("a"), bytes(32))
    return convert.transaction_to_message(signed)


def test_an_honest_message_is_read_as_it_was_sent() -> None:
    for message in (transaction(MEMBER), Block(hash="ab"), Tip(name="car")):
        assert read_arrival(type(message), serialize_message(message), MEMBERS) == message


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a message was turned into an object")

    monkeypatch.setattr(arrivals, "deserialize_message", fail)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("kind", LARGEST)
def test_a_huge_message_is_not_even_read(kind: type) -> None:
    data = serialize_message(transaction(MEMBER)) + bytes(LARGEST[kind])
    with pytest.raises(ArrivalError, match=r"[\d,]+ bytes, at most [\d,]+ are read"):
        read_arrival(kind, data, MEMBERS)


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("sender", ["", "x" * 39, "x" * 41, "\0" * 40, STRANGER.address])
def test_a_transaction_of_no_member_is_not_even_read(sender: str) -> None:
    message = Transaction(sender=sender, withdraw_file=[WithdrawFile(name="a")])
    with pytest.raises(UnknownSender, match="is not a member"):
        read_arrival(Transaction, serialize_message(message), MEMBERS)


@pytest.mark.parametrize("kind", LARGEST)
@pytest.mark.parametrize("size", [0, 1, 7, 50, 120])
def test_half_a_message_is_refused(kind: type, size: int) -> None:
    data = serialize_message(transaction(MEMBER))[:size]
    with pytest.raises((ArrivalError, UnknownSender)):
        read_arrival(kind, data, MEMBERS)


def test_the_largest_honest_block_fits() -> None:
    """The smallest transactions have the most of the wire's own bytes to each of the canonical."""
    one = sign_transaction(MEMBER, 0, Withdrawal("a"), bytes(32))
    size = len(Body((one,) * 100, None).to_bytes()) / 100
    count = int(MAX_BLOCK_BYTES / size) + 1
    many = [convert.transaction_to_message(one)] * count
    info = ModelInfo(contributors=[MEMBER.address] * 1000)
    block = Block(header=BlockHeader(), transactions=many, model_info=[info])
    assert len(serialize_message(block)) < LARGEST[Block]


def test_an_honest_tip_fits() -> None:
    tip = sign_tip(
        MEMBER,
        bytes(32),
        height=2**53,
        tip_hash=bytes(32),
        learning_weight=2**53,
        provider="http://" + "x" * 249,
        stamp=2**53,
    )
    assert len(serialize_message(convert.tip_to_message(tip, "x" * 64))) < LARGEST[Tip]
