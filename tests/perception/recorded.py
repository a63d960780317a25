"""What was recorded, read back: bags as messages, folders of crops as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from bift_ros.perception.bags import Bag, BagMessage
from bift_ros.perception.classes import CLASS_INDEX
from bift_ros.perception.images import CompressedImage
from bift_ros.perception.messages import COMPRESSED_IMAGE, LIGHTS, parse_lights, typestore
from bift_ros.perception.pipeline import Pipeline


def read_bag(path: Path) -> Iterator[BagMessage]:
    """All messages of a bag in order of reception; raises BagError."""
    with Bag(path) as bag:
        yield from bag.messages()


def parse_image(cdr: bytes) -> tuple[int, CompressedImage]:
    """Stamp in nanoseconds and fields of a CompressedImage message."""
    message = typestore().deserialize_cdr(cdr, COMPRESSED_IMAGE)
    stamp = message.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec, CompressedImage(message.format, message.data)


def replay(bag: Path, pipeline: Pipeline) -> None:
    """Let a pipeline learn from a bag."""
    for message in read_bag(bag):
        if message.type == LIGHTS:
            pipeline.on_labels(*parse_lights(message.data))
        else:
            pipeline.on_image(*parse_image(message.data))


def read_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All crops below `<folder>/<class>/`: RGB uint8 [n, 32, 32, 3] and class indices [n]."""
    paths = [p for name in CLASS_INDEX for p in sorted((folder / name).glob("*.png"))]
    images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    assert all(image.shape == (32, 32, 3) for image in images)
    return np.array(images, np.uint8), np.array([CLASS_INDEX[p.parent.name] for p in paths])
