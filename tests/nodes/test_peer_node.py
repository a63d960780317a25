"""One vehicle's consensus node over real DDS, and what others may send to it and to a monitor."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from bift_msgs.msg import ChainStatus, Tip, Transaction, VehicleStatus
from bift_msgs.srv import GetBlocks, GetHeaders, SubmitTransaction

from bift_ros.admission.answers import read_anonymous_blocks, read_headers
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import (
    MembershipVote,
    ProposeTask,
    Transfer,
)
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring import status as monitoring
from bift_ros.nodes import convert, qos
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.peer.config import PeerConfig
from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage
from world.messages import unsigned_tip

pytestmark = pytest.mark.ros

OWN, OTHER, STRANGER = (KeyPair.from_seed(bytes([n] * 32)) for n in range(3))
GENESIS = Genesis(
    "test",
    1_700_000_000_000,
    (Member("car", OWN.public_key), Member("van", OTHER.public_key)),
    Policy(difficulty=8),
)
TASK = ProposeTask("lights", cid_of(b"nobody has it"), 3, "krum", "a:b", 1, 1, 0.1, "sgd")


@pytest.fixture
def peer(ros: Any, tmp_path: Path) -> Iterator[PeerNode]:
    ros.start("-r", "__ns:=/car")
    config = PeerConfig(train=False)
    with (
        EmbeddedStorage(tmp_path / "storage") as storage,
        closing(ChainStore(tmp_path / "chain.sqlite", GENESIS)) as store,
    ):
        node = PeerNode("car", OWN, GENESIS, Blockchain(GENESIS, store), config, storage, None)
        ros.add(node)
        node.start()
        yield node
        node.stop()


def call(ros: Any, kind: Any, name: str, request: Any) -> Any:
    join = ros.fleet_node if name.startswith("get_") else ros.node
    client = join(f"caller_{name}").create_client(kind, f"/car/{name}")
    ros.spin_until(client.service_is_ready)
    answer = client.call_async(request)
    ros.spin_until(answer.done)
    return answer.result()


def headers_of(answer: Any) -> tuple[SignedHeader, ...]:
    return read_headers(bytes(answer.headers))


def blocks_of(answer: Any) -> list[Block]:
    return list(read_anonymous_blocks(bytes(answer.blocks)))


def submit(ros: Any, message: Transaction) -> Any:
    request = SubmitTransaction.Request(transaction=message)
    return call(ros, SubmitTransaction, "submit_transaction", request)


def test_a_submitted_task_is_mined_and_the_block_served(ros: Any, peer: PeerNode) -> None:
    proposal = sign_transaction(OTHER, 0, TASK, GENESIS.hash)
    answer = submit(ros, convert.transaction_to_message(proposal))
    assert answer.accepted, answer.reason
    ros.spin_until(lambda: peer.peer.state.height == 1)
    for from_height in (0, 1):
        request = GetHeaders.Request(from_height=from_height, limit=1000)
        (signed,) = headers_of(call(ros, GetHeaders, "get_headers", request))
        assert signed.header.hash == peer.peer.state.tip_hash
    beyond = GetHeaders.Request(from_height=2**64 - 1, limit=2**32 - 1)
    assert headers_of(call(ros, GetHeaders, "get_headers", beyond)) == ()
    none = GetHeaders.Request(from_height=1)
    assert headers_of(call(ros, GetHeaders, "get_headers", none)) == ()

    unknown = b"".join(bytes([n]) * 32 for n in range(3))
    wanted = GetBlocks.Request(hashes=unknown[:32] + signed.header.hash)
    (block,) = blocks_of(call(ros, GetBlocks, "get_blocks", wanted))
    assert block.hash == peer.peer.state.tip_hash
    assert block.body.transactions == (proposal,)
    for hashes in (unknown, unknown * 10, unknown[:40], signed.header.hash[:31], b""):
        assert blocks_of(call(ros, GetBlocks, "get_blocks", GetBlocks.Request(hashes=hashes))) == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Transaction(), "bytes end too early"),
        (
            convert.transaction_to_message(
                sign_transaction(STRANGER, 0, Transfer(OWN.address, 1), GENESIS.hash)
            ),
            "not a member",
        ),
        (
            convert.transaction_to_message(
                sign_transaction(OTHER, 0, Transfer(OWN.address, 1), GENESIS.hash)
            ),
            "owns 0",
        ),
        (
            convert.transaction_to_message(
                sign_transaction(OTHER, 0, Transfer(OWN.address, 1), bytes(32))
            ),
            "not signed",
        ),
    ],
    ids=["empty", "stranger", "poor", "another chain"],
)
def test_a_submitted_fault_is_answered_with_the_reason(
    ros: Any, peer: PeerNode, message: Transaction, said: str
) -> None:
    answer = submit(ros, message)
    assert not answer.accepted
    assert said in answer.reason
    assert peer.refusals.count == 1
    assert peer.refusals.last == answer.reason


def test_the_vehicles_own_key_may_submit_too(ros: Any, peer: PeerNode) -> None:
    """An operator who signs with the vehicle's key is no echo of what the vehicle said."""
    proposal = sign_transaction(OWN, 0, TASK, GENESIS.hash)
    assert submit(ros, convert.transaction_to_message(proposal)).accepted
    ros.spin_until(lambda: peer.peer.state.height == 1)
    assert peer.peer.next_sequence(OWN.address) == 1


def test_the_owner_may_speak_through_another_vehicle(ros: Any, peer: PeerNode) -> None:
    proposal = sign_transaction(OWN, 0, TASK, GENESIS.hash)
    van = ros.fleet_node("van").create_publisher(
        Transaction, "/bift/transactions", qos.TRANSACTIONS
    )
    van.publish(convert.transaction_to_message(proposal))
    ros.spin_until(lambda: peer.peer.state.height == 1)
    assert peer.peer.next_sequence(OWN.address) == 1


def test_a_fault_submitted_again_is_refused_again(ros: Any, peer: PeerNode) -> None:
    """The topics tell a fault once; whoever waits for an answer gets one each time."""
    poor = sign_transaction(OTHER, 0, Transfer(OWN.address, 1), GENESIS.hash)
    used = sign_transaction(OTHER, 0, MembershipVote("join", "bus", bytes(32)), GENESIS.hash)
    proposal = sign_transaction(OTHER, 0, TASK, GENESIS.hash)
    for _ in range(2):
        assert "owns 0" in submit(ros, convert.transaction_to_message(poor)).reason
    assert submit(ros, convert.transaction_to_message(proposal)).accepted
    ros.spin_until(lambda: peer.peer.state.height == 1)
    answer = submit(ros, convert.transaction_to_message(used))
    assert not answer.accepted
    assert "is used" in answer.reason


def test_whatever_comes_over_the_topics_is_borne(ros: Any, peer: PeerNode) -> None:
    """Malformed messages of every kind are counted, named and left behind."""
    sender = ros.fleet_node("anybody")
    block, transaction, tip = (
        sender.create_publisher(kind, f"/bift/{name}", profile)
        for kind, name, profile in (
            (msg.Block, "blocks", qos.BLOCKS),
            (Transaction, "transactions", qos.TRANSACTIONS),
            (Tip, "tips", qos.TIPS),
        )
    )
    tips = [
        Tip(hash="no hex"),
        unsigned_tip("bus", STRANGER.address, height=5),
        unsigned_tip("van", OTHER.address, height=5),
    ]
    no_sender = b"\x84\x78\x28\n[ERROR] forged" + b"\n" * 26 + bytes(64) + b"\x58\x40" + bytes(64)
    block.publish(msg.Block())
    transaction.publish(Transaction(canonical=no_sender))
    for message in tips:
        tip.publish(message)
        ros.spin_until(lambda m=message: peer.refusals.count >= 1 + tips.index(m))
    ros.spin_until(lambda: peer.refusals.count == 5)
    assert len(peer.refusals.last) < 1000
    assert "\n" not in peer.refusals.last
    # It still works.
    proposal = sign_transaction(OTHER, 0, TASK, GENESIS.hash)
    assert submit(ros, convert.transaction_to_message(proposal)).accepted


@pytest.mark.parametrize("tip_hash", [bytes(32), b"\xff" * 32], ids=["zeros", "ones"])
def test_a_members_odd_tip_is_borne(ros: Any, peer: PeerNode, tip_hash: bytes) -> None:
    """It is signed, and says that there is a chain that nobody has."""
    tip = ros.fleet_node("van").create_publisher(Tip, "/bift/tips", qos.TIPS)
    signed = sign_tip(
        OTHER, GENESIS.hash, height=2**63 - 1, tip_hash=tip_hash, learning_weight=2**63 - 1,
        provider="no-address", stamp=2**63 - 1,
    )  # fmt: skip
    tip.publish(convert.tip_to_message(signed, "van"))
    ros.spin_until(lambda: peer.peer.known_peers == 1 or peer.refusals.count == 1)
    proposal = sign_transaction(OTHER, 0, TASK, GENESIS.hash)
    assert submit(ros, convert.transaction_to_message(proposal)).accepted
    ros.spin_until(lambda: peer.peer.state.height == 1)


def test_a_monitor_bears_names_that_ros_does_not(ros: Any) -> None:
    ros.start()
    heard: queue.Queue[monitoring.VehicleStatus] = queue.Queue()
    with closing(FleetMonitor(heard.put)) as monitor:
        node = ros.node("fleet")
        tips = ros.fleet_node("fleet").create_publisher(Tip, "/bift/tips", qos.TRANSACTIONS)
        for name in ("not a name!", "", "1car", "a/../b", "car"):
            tips.publish(unsigned_tip(name))
        status = node.create_publisher(VehicleStatus, "/car/status", qos.STATUS)
        status.publish(VehicleStatus(name="car", address="a" * 40, chain=ChainStatus(height=3)))
        assert heard.get(timeout=60).chain.height == 3
        assert list(monitor.vehicles) == ["car"]
