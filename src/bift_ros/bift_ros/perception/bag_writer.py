"""Writing vehicles' bags: rosbag2 with MCAP storage, as `ros2 bag record` writes them.

A vehicle's bag holds its camera and its labels:

    /vehicle_NN/camera/image_raw/compressed   sensor_msgs/msg/CompressedImage
    /vehicle_NN/traffic_lights                bift_msgs/msg/TrafficLightArray

with metadata.yaml version 9 (Jazzy's), offered QoS profiles, type hashes, and in the MCAP schemas
each type's definition with all it depends on, so that any reader understands the custom messages.
"""

from __future__ import annotations

from pathlib import Path

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import Label
from bift_ros.perception.messages import (
    COMPRESSED_IMAGE,
    LIGHTS,
    image_cdr,
    lights_cdr,
    typestore,
)

# rmw's infinite duration: what an unset deadline, lifespan or lease is recorded as.
_INFINITE = QosTime(9223372036, 854775807)


def offered_qos(depth: int, *, reliable: bool = True, latched: bool = False) -> Qos:
    """What a publisher that keeps the last `depth` messages offered; players offer it again."""
    return Qos(
        QosHistory.KEEP_LAST,
        depth,
        QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _INFINITE,
        _INFINITE,
        QosLiveliness.AUTOMATIC,
        _INFINITE,
        False,
    )


def start_bag(path: Path) -> Writer:
    """Start the bag directory `path`; raises BagError where something is there already."""
    if path.exists():
        raise BagError(f"{path} exists already: remove it, or name another folder")
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.open()
    return writer


class BagWriter:
    """Writes one vehicle's bag; a context manager. Messages must come in order of reception."""

    def __init__(self, path: Path, vehicle: int) -> None:
        """Start the bag directory `path`; raises BagError where it exists already."""
        self._writer = start_bag(path)
        name = vehicle_name(vehicle)
        self._frame_id = f"{name}/camera_optical_frame"
        self._camera = self._writer.add_connection(
            f"/{name}/camera/image_raw/compressed",
            COMPRESSED_IMAGE,
            typestore=typestore(),
            offered_qos_profiles=[offered_qos(5, reliable=False)],  # sensor data
        )
        self._lights = self._writer.add_connection(
            f"/{name}/traffic_lights",
            LIGHTS,
            typestore=typestore(),
            offered_qos_profiles=[offered_qos(10)],
        )

    def write_frame(self, received_ns: int, stamp_ns: int, jpeg: bytes) -> None:
        """A camera frame taken at `stamp_ns`."""
        data = image_cdr(stamp_ns, self._frame_id, jpeg)
        self._writer.write(self._camera, received_ns, data)

    def write_labels(self, received_ns: int, stamp_ns: int, labels: tuple[Label, ...]) -> None:
        """The lights in the frame taken at `stamp_ns`."""
        data = lights_cdr(stamp_ns, self._frame_id, labels)
        self._writer.write(self._lights, received_ns, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._writer.close()
        else:
            self._writer.abort()
