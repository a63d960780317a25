"""An observer hears a fleet over real DDS, learns its whole chain, and holds up nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block, Body
from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.transition import state_transition
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes import convert, qos
from bift_ros.nodes.observer.fleet_listener import FleetListener
from bift_ros.nodes.vehicle.catch_up_services import CatchUpServices
from world.consortium import LearningConsortium
from world.messages import unsigned_tip

pytestmark = pytest.mark.ros

DEADLINE = 60.0
LENGTH = 40
WORLD = LearningConsortium(3)


def extend(chain: Blockchain, block: Block) -> Block:
    chain.add(block, state_transition(chain.tip_state, WORLD.genesis, block, 2**62))
    return block


@pytest.fixture(scope="module")
def chain() -> Iterator[Blockchain]:
    """A task, an iteration of it in which two of three contribute, and plain blocks above it."""
    with closing(ChainStore(":memory:", WORLD.genesis)) as store:
        chain = Blockchain(WORLD.genesis, store)
        extend(chain, WORLD.task_block())
        updates = WORLD.updates(range(3), chain.tip_state)
        extend(chain, WORLD.model_block(chain.tip_state, updates))
        while chain.tip.height < LENGTH:
            extend(chain, WORLD.block(chain.tip_state))
        yield chain


@pytest.fixture
def listener(ros: Any) -> Iterator[FleetListener]:
    ros.start()
    with closing(FleetListener()) as listener:
        yield listener


def tip_of(member: int, name: str, chain: Blockchain) -> msg.Tip:
    tip = WORLD.tip(member, chain.tip.height, chain.tip.hash, 3).tip
    return convert.tip_to_message(tip, name)


def wait(ros: Any, listener: FleetListener, condition: Any) -> None:
    """Let the fleet's nodes work until the listener has seen it."""
    ros.spin_until(lambda: listener.wait(condition, 0.0), DEADLINE)


def test_the_chain_that_was_there_before_is_fetched_whole(
    ros: Any, listener: FleetListener, chain: Blockchain
) -> None:
    node = ros.fleet_node("peer")
    CatchUpServices(node, chain, threading.Lock())
    node.create_publisher(msg.Tip, "/bift/tips", qos.TIPS).publish(tip_of(0, "car", chain))
    wait(ros, listener, lambda view: len(view.history.blocks) == LENGTH)
    with listener.reading() as view:
        blocks = view.history.blocks
        assert not view.flights
    assert [b.hash for b in blocks] == [b.hash.hex() for b in chain.canonical(1, LENGTH)]
    info = chain.canonical(2, 1)[0].body.model_info
    assert info is not None
    seen = blocks[1].model
    assert seen is not None
    assert (seen.contributors, seen.rule, seen.accuracy) == (
        info.contributors, info.rule, info.accuracy,
    )  # fmt: skip
    assert {u.sender for u in blocks[1].updates} == {WORLD.address(n) for n in range(3)}
    assert blocks[0].transactions == {"propose_task": 1}


def test_what_a_vehicle_says_arrives(ros: Any, listener: FleetListener, chain: Blockchain) -> None:
    node = ros.fleet_node("vehicle")
    node.create_publisher(msg.Tip, "/bift/tips", qos.TIPS).publish(tip_of(0, "car", chain))
    status = ros.node("status").create_publisher(msg.VehicleStatus, "/car/status", qos.STATUS)
    status.publish(
        msg.VehicleStatus(name="car", address=WORLD.address(0), chain=msg.ChainStatus(balance=40))
    )
    progress = ros.node("trainer").create_publisher(
        msg.TrainingProgress, "/car/training/progress", qos.PROGRESS
    )
    ros.spin_until(lambda: progress.get_subscription_count() == 1)
    progress.publish(msg.TrainingProgress(model_id="lights", iteration=1, epoch=1, loss=0.5))
    wait(ros, listener, lambda view: view.mean_losses("lights") == {1: 0.5})
    wait(ros, listener, lambda view: view.vehicles["car"].status is not None)
    with listener.reading() as view:
        assert view.name_of(WORLD.address(0)) == "car"
        assert view.vehicles["car"].status.chain.balance == 40


def test_messages_under_way_are_noticed(
    ros: Any, listener: FleetListener, chain: Blockchain
) -> None:
    node = ros.fleet_node("peer")
    transactions = node.create_publisher(msg.Transaction, "/bift/transactions", qos.TRANSACTIONS)
    blocks = node.create_publisher(msg.Block, "/bift/blocks", qos.BLOCKS)
    for publisher in (transactions, blocks):
        ros.spin_until(lambda publisher=publisher: publisher.get_subscription_count() == 1)
    transfer = WORLD.sign(1, Transfer(WORLD.address(0), 1))
    transactions.publish(convert.transaction_to_message(transfer))
    block = chain.canonical(LENGTH, 1)[0]
    blocks.publish(convert.block_to_message(block))
    wait(ros, listener, lambda view: len(view.flights) == 2)
    with listener.reading() as view:
        flights = {(flight.kind, flight.sender) for flight in view.flights}
        assert flights == {("transfer", WORLD.address(1)), ("block", block.header.miner)}
        assert list(view.chain.blocks) == [block.hash.hex()]


def test_nonsense_is_passed_over(ros: Any, listener: FleetListener, chain: Blockchain) -> None:
    node = ros.fleet_node("stranger")
    tips = node.create_publisher(msg.Tip, "/bift/tips", qos.TRANSACTIONS)
    blocks = node.create_publisher(msg.Block, "/bift/blocks", qos.BLOCKS)
    transactions = node.create_publisher(msg.Transaction, "/bift/transactions", qos.TRANSACTIONS)
    status = ros.node("status").create_publisher(msg.VehicleStatus, "/car/status", qos.TRANSACTIONS)
    for publisher in (tips, blocks, transactions):
        ros.spin_until(lambda publisher=publisher: publisher.get_subscription_count() == 1)
    for name in ("not a name!", "", "1car", "a/../b"):
        tips.publish(unsigned_tip(name))
    tips.publish(msg.Tip(name="car"))
    nobody = unsigned_tip("car")
    nobody.canonical = convert.octets(bytes(nobody.canonical).replace(b"a" * 40, b"x" * 40))
    tips.publish(nobody)
    blocks.publish(msg.Block())
    real = chain.canonical(2, 1)[0]
    less = Body(real.body.transactions[1:], real.body.model_info)  # not the body of that hash
    blocks.publish(convert.block_to_message(Block(real.header, less, real.signature)))
    transactions.publish(msg.Transaction())
    status.publish(msg.VehicleStatus(name="van", address="b" * 40))
    task = msg.TaskStatus(accuracy=float("nan"))
    status.publish(msg.VehicleStatus(name="car", address="b" * 40, task=task))
    tips.publish(tip_of(0, "car", chain))
    chain_said = msg.ChainStatus(last_refusal="x" * 500)
    status.publish(msg.VehicleStatus(name="car", address="b" * 40, chain=chain_said))
    wait(ros, listener, lambda view: view.vehicles and view.vehicles["car"].status is not None)
    with listener.reading() as view:
        assert list(view.vehicles) == ["car"]
        assert len(view.vehicles["car"].status.chain.last_refusal) == 500
        assert not view.chain.blocks
        assert not view.flights


STALLED = """
import sys
from bift_ros.nodes.observer.fleet_listener import FleetListener
listener = FleetListener()
listener.wait(lambda view: len(view.flights) > 0, 60)
print("heard", flush=True)
listener.wait(lambda view: any(f.sender == sys.argv[1] for f in view.flights), 60)
print("heard the last", flush=True)
listener.close()
"""


def test_a_stopped_observer_holds_up_no_writer(ros: Any, listener: FleetListener) -> None:
    """Far more is written than any buffer on the way holds, and others hear it meanwhile."""
    node = ros.fleet_node("peer")
    transactions = node.create_publisher(msg.Transaction, "/bift/transactions", qos.TRANSACTIONS)
    first, many, last = (
        convert.transaction_to_message(WORLD.sign(n, Transfer(WORLD.address(0), 1)))
        for n in range(3)
    )
    command = [sys.executable, "-c", STALLED, last.sender]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stalled:
        assert stalled.stdout is not None
        try:
            ros.spin_until(lambda: transactions.get_subscription_count() == 2)
            transactions.publish(first)
            assert stalled.stdout.readline() == "heard\n"
            stalled.send_signal(signal.SIGSTOP)
            for _ in range(5_000):
                transactions.publish(many)
            transactions.publish(last)

            def heard_all(view: FleetView) -> bool:
                return bool(view.flights) and view.flights[-1].sender == last.sender

            wait(ros, listener, heard_all)
            stalled.send_signal(signal.SIGCONT)
            assert stalled.stdout.readline() == "heard the last\n"
        finally:
            stalled.kill()
