"""Camera messages to arrays: sensor_msgs/Image and CompressedImage fields to RGB.

No ROS here: the fields come as plain arguments. What a camera sends is not trusted; every way
in which fields and data can disagree raises ImageError before anything is allocated.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from bift_ros.perception.picture_size import JPEG_START, PNG_START, picture_size

Image = NDArray[np.uint8]
# What a message's data field may be; rclpy gives array.array.
Data: TypeAlias = "bytes | memoryview | array.array[int] | NDArray[np.uint8]"

MAX_SIDE = 16384  # pixels; larger than any camera, small enough to reject garbage
MAX_PIXELS = 4096 * 4096  # cameras in cars have 1 to 8 million, a few 12
MAX_COMPRESSED_BYTES = 64 << 20
BYTES_OF_A_PIXEL = 12  # of memory while decoding, at most: what a progressive JPEG takes
MAX_SCANS = 64  # of a progressive JPEG, each of which goes over all pixels; encoders write 10

# ROS names a Bayer pattern by its first row from the corner, OpenCV by the second row's
# second and third pixel: ROS "rggb" is OpenCV "BayerBG".
_BAYER = {
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
_CHANNELS = {"bgr8": 3, "rgb8": 3, "mono8": 1} | dict.fromkeys(_BAYER, 1)
ENCODINGS: tuple[str, ...] = tuple(_CHANNELS)

_JPEG_SCAN, _JPEG_END, _PNG_END = b"\xff\xda", b"\xff\xd9", b"IEND\xaeB`\x82"


class ImageError(ValueError):
    """An image message that cannot be decoded, with the reason."""


class RawImage(NamedTuple):
    """The fields of a sensor_msgs/Image; `is_bigendian` is void for 8-bit encodings."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int  # bytes from one row to the next
    data: Data

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return len(self.data)

    def decode(self) -> Image:
        """Pixels as RGB uint8 [height, width, 3], rows' padding removed.

        Knows ENCODINGS; mono8 is repeated into three channels, Bayer is interpolated bilinearly.
        Raises ImageError for other encodings, sizes out of bounds, and data that is too short.
        """
        height, width, encoding, _, step, data = self
        channels = _CHANNELS.get(encoding)
        if channels is None:
            raise ImageError(f"unknown encoding {encoding!r}: use one of {', '.join(ENCODINGS)}")
        _check_size(height, width)
        row = width * channels
        if step < row:
            raise ImageError(
                f"step {step} is shorter than a row of {width} {encoding} pixels ({row})"
            )
        flat = np.frombuffer(data, np.uint8)
        # The last row may come without its padding.
        needed = step * (height - 1) + row
        if flat.size < needed:
            raise ImageError(
                f"image data has {flat.size} bytes, {width}×{height} {encoding} needs {needed}"
            )
        rows = np.lib.stride_tricks.as_strided(flat, (height, row), (step, 1), writeable=False)
        pixels = np.ascontiguousarray(rows).reshape(height, width, channels)
        if encoding == "rgb8":
            return pixels
        if encoding == "bgr8":
            return np.ascontiguousarray(pixels[..., ::-1])
        if encoding == "mono8":
            return np.repeat(pixels, 3, axis=2)
        if height < 2 or width < 2:
            raise ImageError(f"a {width}×{height} image is too small for a Bayer pattern")
        return np.asarray(cv2.cvtColor(pixels[..., 0], _BAYER[encoding]), np.uint8)


class CompressedImage(NamedTuple):
    """The fields of a sensor_msgs/CompressedImage."""

    format: str  # informative only: the data's own first bytes decide
    data: Data

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return len(self.data)

    def decode(self) -> Image:
        """RGB uint8 [h, w, 3]; raises ImageError."""
        return decode_compressed(self.data)


def decode_compressed(data: Data) -> Image:
    """A JPEG or PNG as RGB uint8 [h, w, 3]; raises ImageError.

    A picture cut short is refused, though decoders would fill the rest with grey: a crop of
    that grey would be learnt as a light. The size is read from the header before decoding.
    """
    raw = _bounded(len(data), lambda: bytes(data))
    if raw.startswith(JPEG_START):
        # Some encoders pad the file with zeros after the end marker.
        if not raw.rstrip(b"\x00").endswith(_JPEG_END):
            raise ImageError(f"truncated JPEG: {len(raw)} bytes without an end marker")
    elif raw.startswith(PNG_START):
        if _PNG_END not in raw[-64:]:
            raise ImageError(f"truncated PNG: {len(raw)} bytes without an end chunk")
    else:
        raise ImageError(f"neither JPEG nor PNG: data starts with {raw[:8].hex() or 'nothing'}")
    return _decode(raw)


def read_picture(path: Path) -> Image:
    """A file of any kind that `picture_size` knows as RGB uint8 [h, w, 3].

    Raises ImageError, and OSError where it can't be read.
    """
    return _decode(_bounded(path.stat().st_size, path.read_bytes))


def _bounded(size: int, get: Callable[[], bytes]) -> bytes:
    if size > MAX_COMPRESSED_BYTES:
        raise ImageError(f"an image of {size} bytes, over {MAX_COMPRESSED_BYTES}")
    return get()


def _decode(raw: bytes) -> Image:
    try:
        _check_size(*picture_size(raw))
    except ValueError as error:
        raise ImageError(str(error)) from error
    if raw.startswith(JPEG_START) and raw.count(_JPEG_SCAN) > MAX_SCANS:
        raise ImageError(f"a JPEG of over {MAX_SCANS} scans")
    try:
        bgr = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"damaged image of {len(raw)} bytes: {error}") from error
    if bgr is None:
        raise ImageError(f"damaged image: {len(raw)} bytes that do not decode")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr), np.uint8)


def _check_size(height: int, width: int) -> None:
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise ImageError(f"image size {width}×{height} is out of bounds")
