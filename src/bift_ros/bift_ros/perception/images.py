"""Camera messages to arrays: sensor_msgs/Image and CompressedImage fields to RGB.

No ROS here: the fields come as plain arguments. What a camera sends is not trusted; every way
in which fields and data can disagree raises ImageError before anything is allocated.
"""

from __future__ import annotations

import array
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
# What a message's data field may be; rclpy gives array.array.
Data: TypeAlias = "bytes | memoryview | array.array[int] | NDArray[np.uint8]"

MAX_SIDE = 16384  # pixels; larger than any camera, small enough to reject garbage
MAX_PIXELS = 64_000_000

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

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


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

    def decode(self) -> Image:
        """RGB uint8 [h, w, 3]; raises ImageError."""
        return decode_compressed(self.data)


def decode_compressed(data: Data) -> Image:
    """A JPEG or PNG as RGB uint8 [h, w, 3]; raises ImageError.

    A picture cut short is refused, though decoders would fill the rest with grey: a crop of
    that grey would be learnt as a light. The size is read from the header before decoding.
    """
    raw = bytes(data)
    if raw.startswith(_JPEG_START):
        # Some encoders pad the file with zeros after the end marker.
        if not raw.rstrip(b"\x00").endswith(_JPEG_END):
            raise ImageError(f"truncated JPEG: {len(raw)} bytes without an end marker")
        size = _jpeg_size(raw)
    elif raw.startswith(_PNG_START):
        if _PNG_END not in raw[-64:]:
            raise ImageError(f"truncated PNG: {len(raw)} bytes without an end chunk")
        size = (int.from_bytes(raw[20:24], "big"), int.from_bytes(raw[16:20], "big"))
    else:
        raise ImageError(f"neither JPEG nor PNG: data starts with {raw[:8].hex() or 'nothing'}")
    _check_size(*size)
    try:
        bgr = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"damaged image of {len(raw)} bytes: {error}") from error
    if bgr is None:
        raise ImageError(f"damaged image: {len(raw)} bytes that do not decode")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _check_size(height: int, width: int) -> None:
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_PIXELS):
        raise ImageError(f"image size {width}×{height} is out of bounds")


def _jpeg_size(raw: bytes) -> tuple[int, int]:
    """Height and width from the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(raw):
        if raw[at] != 0xFF:
            break
        marker = raw[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # fill, or no length
            at += 1 if marker == 0xFF else 2
            continue
        # SOF0 to SOF15, but for DHT (C4), JPG (C8) and DAC (CC), which share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(raw[at + 5 : at + 7], "big"), int.from_bytes(
                raw[at + 7 : at + 9], "big"
            )
        at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    raise ImageError("damaged JPEG: no frame header")
