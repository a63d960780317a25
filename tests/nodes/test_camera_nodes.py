"""The camera side over real DDS: published frames and labels become samples."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import TrafficLight, TrafficLightArray
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest

from bift_ros.nodes.bag.replay_node import ReplayNode
from bift_ros.nodes.vehicle.perception_node import PerceptionNode

pytestmark = pytest.mark.ros

SAMPLE = Path(__file__).parents[2] / "rosbags" / "sample"
RELIABLE = QoSProfile(depth=10)


class Camera:
    """A vehicle's camera driver and labeller, as other packages would write them."""

    def __init__(self, ros: Any, kind: type, profile: QoSProfile) -> None:
        node = ros.node("camera")
        topic = "camera/image_raw" + ("/compressed" if kind is CompressedImage else "")
        self._images = node.create_publisher(kind, topic, profile)
        self._labels = node.create_publisher(TrafficLightArray, "traffic_lights", profile)

    def heard(self) -> bool:
        return bool(self._images.get_subscription_count() and self._labels.get_subscription_count())

    def publish(self, second: int, image: Any, *classes: str, width: int = 40) -> None:
        image.header.stamp.sec = second
        self._images.publish(image)
        lights = [
            TrafficLight(
                signal_class=name,
                region=RegionOfInterest(x_offset=10 + 50 * i, y_offset=20, width=width, height=40),
            )
            for i, name in enumerate(classes)
        ]
        labels = TrafficLightArray(lights=lights)
        labels.header.stamp.sec = second
        self._labels.publish(labels)


def pixels(seed: int) -> np.ndarray:
    """A picture of noise, 100×120 BGR, unlike any other seed's."""
    return np.random.default_rng(seed).integers(0, 256, (100, 120, 3), dtype=np.uint8)


def raw(seed: int, encoding: str = "bgr8") -> Image:
    data = pixels(seed).tobytes()
    return Image(height=100, width=120, encoding=encoding, step=360, data=data)


def compressed(seed: int, format_: str = "jpeg") -> CompressedImage:
    coded, data = cv2.imencode(f".{format_}", pixels(seed))
    assert coded
    return CompressedImage(format=format_, data=data.tobytes())


@contextmanager
def perceiving(
    ros: Any, dataset: Path, transport: str, *more: str
) -> Iterator[tuple[PerceptionNode, Any]]:
    parameters = [word for p in (f"image_transport:={transport}", *more) for word in ("-p", p)]
    ros.start("-r", "__ns:=/car", *parameters)
    counts: queue.Queue[int] = queue.Queue()
    node = ros.add(PerceptionNode(dataset, counts.put))
    node.start()
    try:
        yield node, counts
    finally:
        node.stop()


@pytest.mark.parametrize("profile", [qos_profile_sensor_data, RELIABLE], ids=["sensor", "plain"])
@pytest.mark.parametrize(("kind", "make"), [(Image, raw), (CompressedImage, compressed)])
def test_published_frames_become_samples(
    ros: Any, tmp_path: Path, kind: type, make: Any, profile: QoSProfile
) -> None:
    transport = "raw" if kind is Image else "compressed"
    with perceiving(ros, tmp_path, transport) as (node, counts):
        camera = Camera(ros, kind, profile)
        ros.spin_until(camera.heard)
        for second in (1, 2, 3):
            camera.publish(second, make(second), "red_circle", "green_left")
        ros.spin_until(lambda: node.statistics.samples == 6)
        statistics = node.statistics
        assert statistics.frames_seen == 3
        assert statistics.per_class["red_circle"] == statistics.per_class["green_left"] == 3
        assert not statistics.skips
        assert node.lost_frames == 0
        if statistics.train:
            assert counts.get(timeout=10) > 0
    files = sorted(p.parent.name for p in tmp_path.glob("*/*/*.png"))
    assert files == ["green_left"] * 3 + ["red_circle"] * 3
    if kind is Image:  # nothing was lost on the way: the crop is the region, pixel by pixel
        stored = [cv2.imread(str(p)) for p in tmp_path.glob("*/red_circle/*.png")]
        assert all(image is not None and image.shape == (32, 32, 3) for image in stored)


def test_what_cannot_be_used_is_counted_and_the_rest_goes_on(ros: Any, tmp_path: Path) -> None:
    with perceiving(ros, tmp_path, "raw") as (node, _):
        camera = Camera(ros, Image, RELIABLE)
        ros.spin_until(camera.heard)
        short = raw(3)
        short.data = short.data[:50]
        camera.publish(1, raw(1, "yuv_of_another_world"), "red_circle")
        camera.publish(2, raw(2), "purple_circle")
        camera.publish(3, short, "red_circle")
        camera.publish(4, raw(4), "red_circle", width=5000)
        camera.publish(5, raw(5), "off")
        ros.spin_until(lambda: node.statistics.samples == 1)
        statistics = node.statistics
        assert statistics.frames_seen == 5
        assert statistics.skips["undecodable_frame"] == 2
        assert statistics.skips["unknown_class"] == 1
        assert sum(statistics.skips.values()) == 4
        assert statistics.per_class["off"] == 1


def test_a_bag_is_replayed_into_the_dataset_and_no_frame_twice(ros: Any, tmp_path: Path) -> None:
    finished: queue.Queue[str | None] = queue.Queue()
    with perceiving(ros, tmp_path, "compressed", f"bag:={SAMPLE}", "rate:=2.0") as (node, _):
        samples = 0
        for round_ in (1, 2):
            replay = ros.add(ReplayNode(finished.put))
            replay.start()
            ros.spin_until(lambda: not finished.empty())
            assert finished.get() is None
            replay.stop()
            ros.spin_until(lambda n=round_: node.statistics.frames_seen == 40 * n, 20)
            ros.spin_until(lambda n=round_: node.statistics.labels_seen == 40 * n, 20)
            node.wait_idle()
            samples = samples or node.statistics.samples
        assert node.statistics.samples == samples > 0
        assert node.statistics.skips["duplicate_frame"] == 40


@pytest.mark.parametrize("bag", ["/nowhere", "{tmp}"])
def test_a_bag_that_cannot_be_played_is_reported(ros: Any, tmp_path: Path, bag: str) -> None:
    bag = bag.replace("{tmp}", str(tmp_path))
    ros.start("-p", f"bag:={bag}")
    finished: queue.Queue[str | None] = queue.Queue()
    replay = ros.add(ReplayNode(finished.put))
    replay.start()
    error = finished.get(timeout=60)
    replay.stop()
    assert error is not None
    assert bag in error
