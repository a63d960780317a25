"""A fleet's picture over real DDS, as RViz receives it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("visualization_msgs", reason="needs ROS 2: run `make setup`")

from geometry_msgs.msg import PoseStamped, Quaternion
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from visualization_msgs.msg import Marker, MarkerArray

from bift_ros.history.blocks import BlockSummary
from bift_ros.monitoring import colours
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes.observer import scene_publisher
from bift_ros.nodes.observer.scene_publisher import ScenePublisher

pytestmark = pytest.mark.ros

Id = tuple[str, int]


class Screen:
    """What RViz shows of one topic: it applies every message in order."""

    def __init__(self, ros: Any, name: str) -> None:
        self.markers: dict[Id, Marker] = {}
        self.messages: list[MarkerArray] = []
        node = ros.node(f"rviz_{name}")
        profile = QoSProfile(depth=10)  # reliable and volatile: RViz's own default
        node.create_subscription(MarkerArray, f"/bift/scene/{name}", self._on_array, profile)

    def _on_array(self, array: MarkerArray) -> None:
        self.messages.append(array)
        ids = [(marker.ns, marker.id) for marker in array.markers]
        assert len(set(ids)) == len(ids), "RViz refuses two markers of one name in a message"
        for marker in array.markers:
            if marker.action == Marker.DELETEALL:
                self.markers.clear()
            elif marker.action == Marker.DELETE:
                self.markers.pop((marker.ns, marker.id), None)
            else:
                self.markers[marker.ns, marker.id] = marker

    def text(self, namespace: str, number: int) -> str:
        marker = self.markers.get((namespace, number))
        return marker.text if marker is not None else ""


def status(name: str, **more: Any) -> VehicleStatus:
    address = name.encode().hex().ljust(40, "0")
    said = {"name": name, "address": address, "tip": "b", "height": 2, "state": "idle"}
    said |= {"current_iter": 1, "accuracy": 0.5, "balance": 20}
    return status_from_json(said | more)


@pytest.fixture
def view() -> FleetView:
    view = FleetView()
    for name, parent, height in (("a", "genesis", 1), ("b", "a", 2), ("x", "a", 2)):
        view.observe_block(BlockSummary(name, parent, height, "m" * 40, 0, {}, (), None), 0.0)
    for name in ("bus", "car", "van"):
        view.observe_status(status(name), time.monotonic() + 3600)
    return view


@pytest.fixture
def publisher(ros: Any, view: FleetView) -> Iterator[ScenePublisher]:
    ros.start()
    publisher = ScenePublisher(ros.node("monitor"), view, threading.Condition())
    yield publisher
    publisher.close()


def test_vehicles_and_chain_arrive_whole_and_then_by_changes(
    ros: Any, view: FleetView, publisher: ScenePublisher
) -> None:
    vehicles, chain = Screen(ros, "vehicles"), Screen(ros, "chain")
    ros.spin_until(lambda: vehicles.markers and chain.markers)
    assert vehicles.messages[0].markers[0].action == Marker.DELETEALL
    bodies = {key: marker for key, marker in vehicles.markers.items() if key[0] == "vehicles"}
    assert set(bodies) == {("vehicles", n) for n in range(3)}
    for marker in bodies.values():
        assert (marker.header.frame_id, marker.type) == ("map", Marker.CUBE)
        assert marker.color.a == 1.0
        turn = marker.pose.orientation
        assert math.hypot(turn.x, turn.y, turn.z, turn.w) == pytest.approx(1)
    assert vehicles.text("labels", 0) == "bus\nidle\n20 tokens, 50%"
    assert {key for key in chain.markers if key[0] == "blocks"} == {
        ("blocks", 1), ("blocks", 2), ("blocks", (1 << 24) + 2),
    }  # fmt: skip
    assert chain.text("rules", 2) == "2\nempty\n3 here"
    view.observe_status(status("car", state="mining"), time.monotonic() + 3600)
    ros.spin_until(lambda: vehicles.text("labels", 1).startswith("car\nmining"))
    assert vehicles.markers["vehicles", 1].color.r == pytest.approx(
        colours.VEHICLE_STATES["mining"].red / 255
    )
    changed = next(m for m in vehicles.messages if "mining" in m.markers[-1].text)
    assert len(changed.markers) == 2


def test_whoever_comes_later_sees_everything(
    ros: Any, view: FleetView, publisher: ScenePublisher
) -> None:
    first = Screen(ros, "chain")
    ros.spin_until(lambda: bool(first.markers))
    later = Screen(ros, "chain")
    ros.spin_until(lambda: bool(later.markers))
    assert later.markers.keys() == first.markers.keys()


def test_messages_fly_and_vanish(ros: Any, view: FleetView, publisher: ScenePublisher) -> None:
    screen = Screen(ros, "messages")
    ros.spin_until(lambda: bool(screen.messages))
    view.observe_transaction("model_update", view.vehicles["bus"].address, time.monotonic())
    ros.spin_until(lambda: bool(screen.markers))
    line = screen.markers["flights", 0]
    assert line.type == Marker.LINE_LIST
    assert len(line.points) == 4
    assert 0 < line.lifetime.sec + line.lifetime.nanosec / 1e9 < 1
    assert line.scale.x > 0
    ros.spin_until(lambda: not screen.markers)


def test_vehicles_stand_where_their_pose_topic_says(
    ros: Any, view: FleetView, publisher: ScenePublisher
) -> None:
    driver = ros.node("drivers")
    bus = driver.create_publisher(PoseStamped, "/bus/pose", qos_profile_sensor_data)
    car = driver.create_publisher(Odometry, "/car/pose", QoSProfile(depth=10))
    van = driver.create_publisher(PoseStamped, "/van/pose", QoSProfile(depth=10))
    in_map, odometry, in_odom = PoseStamped(), Odometry(), PoseStamped()
    in_map.header.frame_id = odometry.header.frame_id = "map"
    in_odom.header.frame_id = "odom"
    in_map.pose.position.x, odometry.pose.pose.position.x = 100.0, 200.0
    in_odom.pose.position.x = 300.0
    in_map.pose.orientation = Quaternion(z=1.0, w=1.0)  # to the north, not normalized

    def drive() -> None:
        bus.publish(in_map)
        car.publish(odometry)
        van.publish(in_odom)

    driver.create_timer(0.1, drive)
    screen = Screen(ros, "vehicles")

    def x_of(number: int) -> float:
        marker = screen.markers.get(("vehicles", number))
        return marker.pose.position.x if marker is not None else 0.0

    ros.spin_until(lambda: x_of(0) == 100.0 and x_of(1) == 200.0)
    assert x_of(2) != 300.0
    turn = screen.markers["vehicles", 0].pose.orientation
    assert 2 * math.atan2(turn.z, turn.w) == pytest.approx(math.pi / 2)


def test_a_lost_message_is_made_up_for(
    ros: Any, view: FleetView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_publisher, "_ANEW_SECONDS", 0.5)
    ros.start()
    publisher = ScenePublisher(ros.node("monitor"), view, threading.Condition())
    screen = Screen(ros, "chain")
    ros.spin_until(lambda: bool(screen.markers))
    screen.markers.clear()
    ros.spin_until(lambda: bool(screen.markers))
    publisher.close()


def test_nobody_looks_so_nothing_is_drawn(
    ros: Any, view: FleetView, publisher: ScenePublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []
    original = scene_publisher.lay_out
    monkeypatch.setattr(
        scene_publisher, "lay_out", lambda *given: drawn.append(given) or original(*given)
    )
    ticks: list[int] = []
    ros.node("clock").create_timer(scene_publisher._IDLE_SECONDS, lambda: ticks.append(1))
    ros.spin_until(lambda: len(ticks) > 2)
    assert not drawn
    Screen(ros, "chain")
    ros.spin_until(lambda: bool(drawn))
