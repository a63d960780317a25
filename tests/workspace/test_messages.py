"""bift_msgs as built: the shapes that nodes rely on, and a trip over real Fast DDS."""

# ruff: noqa: E402 (these imports need what is looked for first)

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Iterator

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Block, Tip, Transaction
from bift_msgs.srv import GetBlocks
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(
    depth=10,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Pair:
    """Two nodes in one context, spun until something has happened."""

    def __init__(self, context: Context) -> None:
        self.server = Node("messages_server", context=context)
        self.client = Node("messages_client", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.server)
        self._executor.add_node(self.client)

    def spin_until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not reached within {seconds} s"
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._executor.shutdown()
        self.server.destroy_node()
        self.client.destroy_node()


@pytest.fixture
def pair() -> Iterator[Pair]:
    context = Context()
    # A domain of its own: parallel runs on one machine must not hear each other.
    rclpy.init(context=context, domain_id=1 + os.getpid() % 99)
    nodes = Pair(context)
    yield nodes
    nodes.close()
    rclpy.shutdown(context=context)


def sample_block() -> Block:
    return Block(
        canonical=bytes(range(256)) * 40,
        hash="00" * 32,
        height=2**63,
        miner="ab" * 20,
        transactions=2,
        iteration=3,
        model_id="lights",
        accuracy=0.875,
        contributors=2,
    )


def test_block_survives_the_wire_field_by_field(pair: Pair) -> None:
    received: list[Block] = []
    publisher = pair.server.create_publisher(Block, "blocks", LATCHED)
    publisher.publish(sample_block())  # before anybody listens: transient local must keep it
    pair.client.create_subscription(Block, "blocks", received.append, LATCHED)
    pair.spin_until(lambda: bool(received))
    assert received[0] == sample_block()
    assert bytes(received[0].canonical) == bytes(range(256)) * 40


def test_blocks_come_back_from_a_service(pair: Pair) -> None:
    def answer(request: GetBlocks.Request, response: GetBlocks.Response) -> GetBlocks.Response:
        response.blocks = bytes(request.hashes) * 30
        return response

    pair.server.create_service(GetBlocks, "get_blocks", answer)
    client = pair.client.create_client(GetBlocks, "get_blocks")
    pair.spin_until(client.service_is_ready)
    future = client.call_async(GetBlocks.Request(hashes=bytes(range(96))))
    pair.spin_until(future.done)
    assert bytes(future.result().blocks) == bytes(range(96)) * 30


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Transaction(canonical=array("B", bytes(50_049))), id="canonical bytes"),
        pytest.param(Transaction(sender="a" * 40, kind="x" * 16), id="within the bounds"),
    ],
)
def test_bounds_of_the_definition_hold_where_a_message_is_written(
    pair: Pair, message: Transaction
) -> None:
    publisher = pair.server.create_publisher(type(message), "too_long", LATCHED)
    if len(message.canonical) <= 50_048:
        publisher.publish(message)
        return
    with pytest.raises(RCLError, match="cannot publish"):
        publisher.publish(message)


def test_no_bound_of_the_definition_holds_where_a_message_is_read() -> None:
    """What admission judges sizes itself for: rosidl's deserialisation lets anything through."""
    within = serialize_message(Tip(canonical=bytes(8)))
    assert within[4:8] == bytes((8, 0, 0, 0))
    beyond = within[:4] + (4096).to_bytes(4, "little") + bytes(4096) + within[16:]
    assert len(deserialize_message(beyond, Tip).canonical) == 4096
