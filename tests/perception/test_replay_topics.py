"""A bag's topics in another vehicle's namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from bift_ros.perception.bags import BagError
from bift_ros.perception.replay_topics import relative_topic, remappings

SAMPLE = Path(__file__).parents[2] / "rosbags" / "sample"


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("/vehicle_03/camera/image_raw/compressed", "camera/image_raw/compressed"),
        ("/camera/image_raw", "camera/image_raw"),
        ("traffic_lights", "traffic_lights"),
        ("/rear_camera/image_raw", None),
        ("/vehicle_03/odometry", None),
    ],
)
def test_topics_are_matched_by_how_they_end(topic: str, name: str | None) -> None:
    assert relative_topic(topic) == name


def test_a_bags_topics_are_remapped() -> None:
    assert remappings(SAMPLE, "car") == {
        "/vehicle_00/camera/image_raw/compressed": "/car/camera/image_raw/compressed",
        "/vehicle_00/traffic_lights": "/car/traffic_lights",
    }


def test_a_missing_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="nowhere"):
        remappings(tmp_path / "nowhere", "car")
