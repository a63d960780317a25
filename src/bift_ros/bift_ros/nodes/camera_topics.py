"""A vehicle's camera and label topics, as whoever listens to them wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_msgs.msg import TrafficLightArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from bift_ros.nodes import qos
from bift_ros.perception import images
from bift_ros.perception.classes import LONGEST_NAME, MAX_LABELS, Label

Frame = images.RawImage | images.CompressedImage


def stamp_ns(header: Any) -> int:
    """A message header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def subscribe(
    node: Node,
    transport: str,
    on_frame: Callable[[Any, Frame], None],
    on_labels: Callable[[Any, list[Label]], None],
    namespace: str = "",
) -> None:
    """Hear frames and labels, each with its header; `transport` is compressed or raw.

    Of labels one more than `MAX_LABELS` at most are read, of a class's name `LONGEST_NAME`.
    The topics are those of the node's own namespace, or below another one such as `/vehicle_00/`.
    """

    def raw(m: Image) -> None:
        fields = (m.height, m.width, m.encoding, m.is_bigendian, m.step)
        on_frame(m.header, images.RawImage(*fields, m.data))

    def compressed(m: CompressedImage) -> None:
        on_frame(m.header, images.CompressedImage(m.format, bytes(m.data)))

    def labels(m: TrafficLightArray) -> None:
        on_labels(m.header, [_label(light) for light in m.lights[: MAX_LABELS + 1]])

    camera = f"{namespace}camera/image_raw"
    if transport == "raw":
        node.create_subscription(Image, camera, raw, qos.CAMERA)
    else:
        node.create_subscription(CompressedImage, f"{camera}/compressed", compressed, qos.CAMERA)
    node.create_subscription(TrafficLightArray, f"{namespace}traffic_lights", labels, qos.CAMERA)


def _label(light: Any) -> Label:
    box = light.region
    return Label(
        light.signal_class[:LONGEST_NAME], box.x_offset, box.y_offset, box.width, box.height
    )
