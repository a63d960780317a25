"""What a fleet says is recorded to a bag, and played again for those who watch."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from rclpy.serialization import deserialize_message
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader

from bift_ros.nodes import convert, qos
from bift_ros.nodes.bag.fleet_replay_node import FleetReplayNode
from bift_ros.nodes.observer.fleet_listener import FleetListener
from bift_ros.nodes.observer.fleet_recorder import FleetRecorder
from bift_ros.nodes.observer.monitor_node import MonitorNode
from bift_ros.perception.bags import BagError
from world.consortium import LearningConsortium

pytestmark = pytest.mark.ros

WORLD = LearningConsortium(3)
BLOCK = WORLD.task_block()
SAID = {
    "/bift/tips": convert.tip_to_message(WORLD.tip(0, 1, BLOCK.hash, 3).tip, "car"),
    "/bift/blocks": convert.block_to_message(BLOCK),
    "/bift/transactions": convert.transaction_to_message(BLOCK.body.transactions[0]),
    "/car/status": msg.VehicleStatus(
        name="car",
        address=WORLD.address(0),
        chain=msg.ChainStatus(height=1, tip=BLOCK.hash.hex(), balance=20),
    ),
    "/car/training/progress": msg.TrainingProgress(model_id="lights", iteration=1, loss=0.5),
}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    recorder = FleetRecorder(tmp_path / "bag")
    for topic, message in SAID.items():
        recorder.take(topic, message)
    recorder.close()
    return tmp_path / "bag"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Stands for a full disk: who writes more of a file gets an error from the kernel."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_bag_is_one_of_rosbag2(bag: Path) -> None:
    """rosbag2's own reader wants definitions, type hashes and QoS; rosbags checks what is there."""
    assert (bag / "metadata.yaml").exists()
    with Reader(bag) as reader:
        kinds = {link.topic: link for link in reader.connections}
        assert set(kinds) == set(SAID)
        for topic, link in kinds.items():
            assert link.msgtype == f"bift_msgs/msg/{type(SAID[topic]).__name__}"
            assert link.digest.startswith("RIHS01_")
            (offered,) = link.ext.offered_qos_profiles
            latched = offered.durability == QosDurability.TRANSIENT_LOCAL
            assert latched == (topic != "/car/training/progress")
        for link, _, data in reader.messages():
            assert deserialize_message(bytes(data), type(SAID[link.topic])) == SAID[link.topic]


def test_a_monitor_records_what_it_hears(ros: Any, tmp_path: Path) -> None:
    path = tmp_path / "bag"
    ros.start("-p", f"record:={path}")
    monitor = MonitorNode()
    ros.add(monitor)
    monitor.start()
    node = ros.fleet_node("car")
    for topic in ("/bift/tips", "/bift/blocks"):
        node.create_publisher(type(SAID[topic]), topic, qos.BLOCKS).publish(SAID[topic])
    status = ros.node("car").create_publisher(msg.VehicleStatus, "/car/status", qos.STATUS)
    status.publish(SAID["/car/status"])
    view = monitor.view
    ros.spin_until(
        lambda: view.chain.blocks and view.vehicles and view.vehicles["car"].status is not None
    )
    monitor.stop()
    with Reader(path) as reader:
        assert {link.topic for link in reader.connections} == {
            "/bift/tips", "/bift/blocks", "/car/status",
        }  # fmt: skip


def test_a_disk_that_is_full_ends_a_recording(tmp_path: Path) -> None:
    recorder = FleetRecorder(tmp_path / "bag")
    large = msg.Transaction(canonical=bytes(50_000))

    def until_it_is_written() -> None:
        while True:
            recorder.take("/bift/transactions", large)

    with files_of_at_most(4096), pytest.raises(BagError, match=r"File too large\. Make room"):
        until_it_is_written()
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size <= 4096


def test_a_monitor_goes_on_without_its_recording(ros: Any, tmp_path: Path) -> None:
    path = tmp_path / "bag"
    ros.start("-p", f"record:={path}")
    monitor = ros.add(MonitorNode())
    monitor.start()
    node = ros.fleet_node("car")
    transactions = node.create_publisher(msg.Transaction, "/bift/transactions", qos.TRANSACTIONS)
    tips = node.create_publisher(msg.Tip, "/bift/tips", qos.TIPS)
    ros.spin_until(transactions.get_subscription_count)
    with files_of_at_most(4096):
        for _ in range(60):
            transactions.publish(msg.Transaction(canonical=bytes(50_000)))
        tips.publish(SAID["/bift/tips"])
        ros.spin_until(lambda: "car" in monitor.view.vehicles)
        ros.spin_until(lambda: (path / "bag.mcap").stat().st_size == 4096)
    tips.publish(convert.tip_to_message(WORLD.tip(1, 1, BLOCK.hash, 3).tip, "bus"))
    ros.spin_until(lambda: "bus" in monitor.view.vehicles)
    monitor.stop()


def test_a_player_shows_an_observer_the_run_again(ros: Any, bag: Path) -> None:
    ros.start("-p", f"bag:={bag}", "-p", "rate:=1000.0")
    ended: list[str | None] = []
    with closing(FleetListener()) as listener:
        player = ros.add(FleetReplayNode(ended.append))
        player.start()
        ros.spin_until(lambda: ended == [None])
        # What is latched arrives even at a reader that comes after it was played.
        ros.spin_until(
            lambda: listener.wait(
                lambda view: view.history.blocks and view.vehicles["car"].status is not None, 0.0
            )
        )
        player.stop()
        with listener.reading() as view:
            assert [block.hash for block in view.history.blocks] == [BLOCK.hash.hex()]
            assert view.vehicles["car"].status.chain.balance == 20


def test_another_bag_is_refused(ros: Any, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(BagError, match="exists already"):
        FleetRecorder(tmp_path / "there")
    sample = Path(__file__).parents[2] / "rosbags" / "sample"
    ros.start("-p", f"bag:={sample}")
    ended: list[str | None] = []
    player = ros.add(FleetReplayNode(ended.append))
    player.start()
    ros.spin_until(lambda: bool(ended))
    assert ended == [f"{sample} has no fleet messages to replay"]
