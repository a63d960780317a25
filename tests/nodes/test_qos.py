"""Publishers and subscribers of each topic must fit together; DDS drops misfits in silence."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")

from bift_msgs.msg import Tip
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_profile_sensor_data,
)

from bift_ros.nodes import qos

pytestmark = pytest.mark.ros

# As ros2 topic echo, rqt and RViz subscribe when nobody says otherwise.
PLAIN = QoSProfile(depth=10)


@pytest.mark.parametrize(
    ("publisher", "subscriber"),
    [
        (qos.TRANSACTIONS, qos.FLEET_READER),
        (qos.BLOCKS, qos.FLEET_READER),
        (qos.TIPS, qos.FLEET_READER),
        (qos.STATUS, qos.STATUS),
        (qos.STATUS, PLAIN),
        (qos.PROGRESS, PLAIN),
        (qos_profile_sensor_data, qos.CAMERA),
        (PLAIN, qos.CAMERA),
        (qos.REPLAY, qos.CAMERA),
        (qos.REPLAY, PLAIN),
    ],
)
def test_the_pairs_fit(publisher: QoSProfile, subscriber: QoSProfile) -> None:
    compatibility, reason = qos_check_compatible(publisher, subscriber)
    # What is left to the system's default, liveliness, makes it a warning.
    assert compatibility != QoSCompatibility.ERROR, reason
    assert "best effort" not in reason.lower()
    assert "volatile" not in reason.lower()


def test_a_reliable_subscriber_would_refuse_a_camera() -> None:
    compatibility, reason = qos_check_compatible(qos_profile_sensor_data, qos.REPLAY)
    assert compatibility == QoSCompatibility.ERROR
    assert "best effort publisher" in reason.lower()


@pytest.mark.parametrize("profile", [qos.TRANSACTIONS, qos.BLOCKS, qos.TIPS])
def test_consensus_is_reliable_and_latched(profile: QoSProfile) -> None:
    assert profile.reliability == ReliabilityPolicy.RELIABLE
    assert profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_who_joins_late_and_is_busy_still_hears_every_vehicles_tip(ros: Any) -> None:
    ros.start()
    fleet, late = ros.node("fleet"), ros.node("late")
    names = {f"vehicle_{number:02d}" for number in range(30)}
    for name in names:
        fleet.create_publisher(Tip, "/bift/tips", qos.TIPS).publish(Tip(name=name))
    heard: set[str] = set()
    late.create_subscription(Tip, "/bift/tips", lambda tip: heard.add(tip.name), qos.FLEET_READER)
    ros.spin_until(lambda: names <= heard, 20)
