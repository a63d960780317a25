"""One vehicle's camera with boxes and the global model's predictions, as an Image topic.

Run as `./bift monitor camera vehicle_00`; `monitor.launch.py` does that for `camera:=vehicle_00`.
"""

from __future__ import annotations

import array
import sys
import tempfile
import threading
import time
from collections import deque
from typing import Any

from bift_msgs.msg import Tip, VehicleStatus
from rclpy.exceptions import InvalidParameterValueException
from sensor_msgs.msg import Image

from bift_ros.consensus.exceptions import GenesisError
from bift_ros.consensus.genesis import load_genesis
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.learning.client import TrainingWorker
from bift_ros.monitoring.camera_view import WorkerPredictions, camera_view
from bift_ros.monitoring.global_model import ModelFollower
from bift_ros.nodes import camera_topics, parameters, qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.camera_topics import Frame, stamp_ns
from bift_ros.nodes.lifetime import run_until_signalled
from bift_ros.nodes.observer.signed_gateways import SignedGateways
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.perception.classes import Label
from bift_ros.perception.images import ImageError
from bift_ros.perception.matching import StampMatcher
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.networks import Networks

_WAITING = 10
"""Frames and labels that may wait for each other."""
_CACHE_BYTES = 256 << 20
"""Models that are kept on disk while the node lives."""


class CameraViewNode(QuietNode):
    """Publishes `/bift/camera_view` at a bounded rate, while anybody looks; the newest frame wins.

    It reads topics and gateways only. Pictures are made on a thread of their own. Raises
    ParameterException or StorageError.
    """

    def __init__(self) -> None:
        super().__init__("camera_view")
        settings = parameters.declare(self, parameters.CAMERA_VIEW)
        vehicle, architecture = settings["vehicle"], settings["architecture"]
        if not is_vehicle_name(vehicle):
            raise InvalidParameterValueException(
                "vehicle", vehicle, "give the name of the vehicle to look through, as in vehicle_00"
            )
        self._period = 1 / settings["rate"]
        self._folder = tempfile.TemporaryDirectory(prefix="bift-camera-view-")
        self._storage = EmbeddedStorage(
            self._folder.name,
            networks=Networks.parse(settings["allowed_networks"]),
            max_bytes=_CACHE_BYTES,
        )
        self._models = ModelFollower(self._storage)
        self._worker = TrainingWorker(
            device=settings["device"], allowed_architectures=(architecture,)
        )
        self._predict = WorkerPredictions(self._worker, architecture)
        self._gateways = _gateways(settings["genesis"])
        self._matcher: StampMatcher[tuple[Any, Frame], list[Label]] = StampMatcher(
            lambda waiting: waiting[1].nbytes, _WAITING
        )
        self._newest: deque[tuple[Any, Frame, list[Label]]] = deque(maxlen=1)
        self._thread = threading.Thread(target=self._work, name="camera-view", daemon=True)
        self._woken, self._stopping = threading.Event(), threading.Event()
        self._pictures = self.create_publisher(Image, "/bift/camera_view", qos.CAMERA_VIEW)
        camera_topics.subscribe(
            self, settings["image_transport"], self._on_frame, self._on_labels, f"/{vehicle}/"
        )
        self.create_subscription(VehicleStatus, f"/{vehicle}/status", self._on_status, qos.STATUS)
        self._fleet = BackgroundNode(Bus.FLEET, "camera_view")
        if self._gateways is not None:
            self._fleet.node.create_subscription(
                Tip, "/bift/tips", self._gateways.take, qos.FLEET_READER
            )

    def start(self) -> None:
        """Begin to make pictures."""
        self._fleet.start()
        self._worker.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop, and leave the ROS graph."""
        self._fleet.close()
        self._stopping.set()
        self._woken.set()
        self._worker.close()
        self._thread.join()
        self._storage.close()
        self._models.close()
        self._folder.cleanup()
        self.destroy_node()

    def _on_status(self, message: VehicleStatus) -> None:
        if self._gateways is not None:
            task = message.task
            self._models.follow(task.global_cid, task.current_iter, self._gateways.urls)

    def _on_frame(self, header: Any, frame: Frame) -> None:
        labels = self._matcher.add_frame(stamp_ns(header), (header, frame))
        if labels is not None:
            self._offer(header, frame, labels)

    def _on_labels(self, header: Any, labels: list[Label]) -> None:
        found = self._matcher.add_labels(stamp_ns(header), labels)
        if found is not None:
            self._offer(*found, labels)

    def _offer(self, header: Any, frame: Frame, labels: list[Label]) -> None:
        self._newest.append((header, frame, labels))
        self._woken.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait()
            self._woken.clear()
            due = time.monotonic() + self._period
            if self._newest and self._pictures.get_subscription_count():
                self._show(*self._newest.pop())
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _show(self, header: Any, frame: Frame, labels: list[Label]) -> None:
        try:
            image = frame.decode()
        except ImageError as error:
            self.get_logger().warning(f"a frame is left out: {error}", throttle_duration_sec=10.0)
            return
        picture = camera_view(image, labels, self._models.current, self._predict)
        rows, columns = picture.shape[:2]
        message = Image(
            header=header, height=rows, width=columns, encoding="rgb8", step=3 * columns
        )
        message.data = array.array("B", picture.tobytes())  # anything else is checked byte by byte
        if not self._stopping.is_set():
            self._pictures.publish(message)


def _gateways(genesis: str) -> SignedGateways | None:
    """Of the fleet with this genesis file; None without one: nobody's address could be checked."""
    if not genesis:
        return None
    try:
        return SignedGateways(load_genesis(genesis))
    except GenesisError as error:
        raise InvalidParameterValueException("genesis", genesis, str(error)) from error


def main(arguments: list[str] | None = None) -> int:
    """Publish what it sees."""
    return run_until_signalled(CameraViewNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
