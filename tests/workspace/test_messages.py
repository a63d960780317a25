"""bift_msgs as built: the shapes that nodes rely on, and a trip over real Fast DDS."""

# ruff: noqa: E402 (these imports need what is looked for first)

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Block, BlockHash, ModelInfo, ModelUpdate, Transaction, Transfer
from bift_msgs.srv import GetBlocks
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

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
    update = ModelUpdate(
        model_id="lights",
        iteration=3,
        base_cid="bafkbase",
        cid="bafkupdate",
        accuracy=0.875,
        sample_count=512,
        salt=bytes(range(32)),
    )
    transactions = [
        Transaction(
            sender="ab" * 20,
            sequence=2**40,
            model_update=[update],
            signature=np.arange(64, dtype=np.uint8),
        ),
        Transaction(sender="cd" * 20, transfer=[Transfer(recipient="ab" * 20, amount=2**63)]),
    ]
    block = Block(hash="00" * 32, transactions=transactions)
    block.header.height = 7
    block.header.timestamp = 1_700_000_000_123
    block.header.previous_hash = np.arange(32, dtype=np.uint8)
    block.header.model_flag = True
    block.header.nonce = 2**64 - 1
    block.model_info = [ModelInfo(model_id="lights", contributors=["bafkupdate", "bafkother"])]
    return block


def test_block_survives_the_wire_field_by_field(pair: Pair) -> None:
    received: list[Block] = []
    publisher = pair.server.create_publisher(Block, "blocks", LATCHED)
    publisher.publish(sample_block())  # before anybody listens: transient local must keep it
    pair.client.create_subscription(Block, "blocks", received.append, LATCHED)
    pair.spin_until(lambda: bool(received))
    assert received[0] == sample_block()
    assert bytes(received[0].header.previous_hash) == bytes(range(32))
    assert bytes(received[0].transactions[0].model_update[0].salt) == bytes(range(32))


def test_blocks_come_back_from_a_service(pair: Pair) -> None:
    def answer(request: GetBlocks.Request, response: GetBlocks.Response) -> GetBlocks.Response:
        response.blocks = [sample_block() for _ in request.hashes]
        for wanted, block in zip(request.hashes, response.blocks, strict=True):
            block.hash = bytes(wanted.sha256).hex()
        return response

    pair.server.create_service(GetBlocks, "get_blocks", answer)
    client = pair.client.create_client(GetBlocks, "get_blocks")
    pair.spin_until(client.service_is_ready)
    hashes = [BlockHash(sha256=np.full(32, n, np.uint8)) for n in (5, 6, 7)]
    future = client.call_async(GetBlocks.Request(hashes=hashes))
    pair.spin_until(future.done)
    assert [block.hash for block in future.result().blocks] == ["05" * 32, "06" * 32, "07" * 32]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Transaction(transfer=[Transfer(), Transfer()]), id="two payloads of one kind"),
        pytest.param(ModelUpdate(salt=bytes(33)), id="a salt over 32 bytes"),
    ],
)
def test_bounds_of_the_definition_hold_on_the_wire(
    pair: Pair, message: Transaction | ModelUpdate
) -> None:
    publisher = pair.server.create_publisher(type(message), "too_long", LATCHED)
    with pytest.raises(RCLError, match="cannot publish"):
        publisher.publish(message)
