"""The camera view over real DDS: a camera, a vehicle's words and its gateway in, pictures out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import TaskStatus, Tip, TrafficLight, TrafficLightArray, VehicleStatus
from rclpy.exceptions import ParameterException
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest

from bift_ros.chain.encryption import FileKey
from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.genesis import save_genesis
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.jobs import InitJob, PredictJob
from bift_ros.monitoring.colours import RIGHT, UNJUDGED, WRONG
from bift_ros.nodes import convert, qos
from bift_ros.nodes.observer import camera_view_node
from bift_ros.nodes.observer.camera_view_node import CameraViewNode
from bift_ros.perception.crops import crop_region
from bift_ros.perception.images import decode_compressed
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.synthesis.scene import encode_jpeg, make_frame
from world.consortium import LearningConsortium

pytestmark = pytest.mark.ros

DEADLINE = 240.0
PLAIN = QoSProfile(depth=10)
WORLD = LearningConsortium(3)
FRAME = make_frame(np.random.default_rng(3))
JPEG = encode_jpeg(FRAME.image)


class Vehicle:
    """What the view hears of a vehicle: camera, labels, status and tip."""

    def __init__(self, ros: Any, storage: EmbeddedStorage) -> None:
        node = ros.node("vehicle")
        self._url = storage.url
        self._camera = node.create_publisher(
            CompressedImage, "camera/image_raw/compressed", qos_profile_sensor_data
        )
        self._labels = node.create_publisher(
            TrafficLightArray, "traffic_lights", QoSProfile(depth=10)
        )
        self._status = node.create_publisher(VehicleStatus, "status", qos.STATUS)
        self._tips = ros.fleet_node("vehicle").create_publisher(Tip, "/bift/tips", qos.TIPS)
        self._second, self._said, self._stamp = 0, VehicleStatus(name="car"), 0
        node.create_timer(0.1, self._drive)

    def stand_on(self, cid: str, iteration: int) -> None:
        """Say from now on which global model is the newest."""
        self._stamp += 1
        liar = replace(self._tip("http://127.0.0.1:1"), sender=WORLD.address(1))
        for tip in (liar, self._tip(self._url)):
            self._tips.publish(convert.tip_to_message(tip, "car"))
        self._said = VehicleStatus(
            name="car", task=TaskStatus(global_cid=cid, current_iter=iteration)
        )

    def _tip(self, url: str) -> SignedTip:
        return WORLD.tip(0, 1, bytes(32), 1, url, self._stamp).tip

    def _drive(self) -> None:
        self._second += 1
        image = CompressedImage(format="jpeg", data=JPEG)
        lights = [
            TrafficLight(
                signal_class=label.signal_class,
                region=RegionOfInterest(
                    x_offset=label.x, y_offset=label.y, width=label.width, height=label.height
                ),
            )
            for label in FRAME.labels
        ]
        labels = TrafficLightArray(lights=lights)
        for message in (image, labels):
            message.header.stamp.sec = self._second
            message.header.frame_id = "windscreen"
        self._status.publish(self._said)
        self._camera.publish(image)
        self._labels.publish(labels)


class Viewer:
    """What RViz's image display receives."""

    def __init__(self, ros: Any) -> None:
        self.header: Any = None
        self.picture: np.ndarray | None = None
        ros.node("rviz").create_subscription(
            Image, "/bift/camera_view", self._on, QoSProfile(depth=5)
        )

    def _on(self, m: Image) -> None:
        assert (m.encoding, m.step) == ("rgb8", 3 * m.width)
        self.header = m.header
        self.picture = np.frombuffer(m.data, np.uint8).reshape(m.height, m.width, 3)

    def colours(self) -> list[tuple[int, ...]]:
        """The boxes' colours, in the labels' order; none before the first picture."""
        picture = self.picture
        if picture is None:
            return []
        return [tuple(map(int, picture[label.y, label.x])) for label in FRAME.labels]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "storage") as storage:
        yield storage


@pytest.fixture
def view(ros: Any, tmp_path: Path) -> Iterator[CameraViewNode]:
    genesis = tmp_path / "genesis.json"
    save_genesis(genesis, WORLD.genesis)
    ros.start("-p", "vehicle:=car", "-p", "rate:=10.0", "-p", f"genesis:={genesis}")
    node = ros.add(CameraViewNode())
    node.start()
    yield node
    node.stop()


def test_the_global_models_predictions_are_shown(
    ros: Any, view: CameraViewNode, storage: EmbeddedStorage
) -> None:
    with TrainingWorker(device="cpu") as worker:
        model = worker.submit(InitJob(seed=1)).result(DEADLINE).model
        seen = decode_compressed(JPEG)
        crops = np.stack([crop_region(seen, *label[1:]) for label in FRAME.labels])
        predicted = worker.submit(PredictJob(model, crops)).result(DEADLINE).classes
    expected = [
        (RIGHT if name == label.signal_class else WRONG)[:3]
        for name, label in zip(predicted, FRAME.labels, strict=True)
    ]
    vehicle, viewer = Vehicle(ros, storage), Viewer(ros)
    ros.spin_until(lambda: bool(viewer.colours()), DEADLINE, "a picture")
    assert set(viewer.colours()) == {UNJUDGED[:3]}
    assert viewer.header.frame_id == "windscreen"
    vehicle.stand_on(storage.put(model), 1)
    ros.spin_until(lambda: viewer.colours() == expected, DEADLINE, "the model's verdict")


def test_an_encrypted_model_is_told_so(
    ros: Any, view: CameraViewNode, storage: EmbeddedStorage
) -> None:
    vehicle, viewer = Vehicle(ros, storage), Viewer(ros)
    ros.spin_until(lambda: bool(viewer.colours()), DEADLINE, "a picture")
    assert viewer.picture is not None
    strip = viewer.picture[FRAME.image.shape[0] :]
    vehicle.stand_on(storage.put(FileKey(bytes(32)).encrypt(b"model")), 1)

    def told() -> bool:
        assert viewer.picture is not None
        return bool((viewer.picture[FRAME.image.shape[0] :] != strip).any())

    ros.spin_until(told, DEADLINE, "another banner")
    assert set(viewer.colours()) == {UNJUDGED[:3]}


def test_no_vehicle_is_no_view(ros: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ros.start("-p", "vehicle:=not/a/name")
    with pytest.raises(ParameterException, match="vehicle_00"):
        CameraViewNode()


def test_the_command_names_what_is_missing(ros: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        camera_view_node.main(["camera_view", "--ros-args"])
    assert ended.value.code == 2
    assert "vehicle" in capsys.readouterr().err


def test_without_a_genesis_no_model_is_fetched(ros: Any, storage: EmbeddedStorage) -> None:
    """Nobody's address could be checked."""
    ros.start("-p", "vehicle:=car", "-p", "rate:=10.0")
    node = ros.add(CameraViewNode())
    node.start()
    vehicle, viewer = Vehicle(ros, storage), Viewer(ros)
    vehicle.stand_on(storage.put(b"model"), 1)
    ros.spin_until(lambda: bool(viewer.colours()), DEADLINE, "a picture")
    assert set(viewer.colours()) == {UNJUDGED[:3]}
    assert storage.traffic.served == 0
    node.stop()


def test_a_genesis_that_is_none_is_named(ros: Any) -> None:
    ros.start("-p", "vehicle:=car", "-p", "genesis:=/nowhere.json")
    with pytest.raises(ParameterException, match=r"/nowhere\.json"):
        CameraViewNode()
