"""Camera messages to arrays: every encoding, and everything that must be refused."""

from __future__ import annotations

import array
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.perception import images
from bift_ros.perception.images import (
    ENCODINGS,
    ImageError,
    RawImage,
    decode_compressed,
    read_picture,
)
from bift_ros.perception.picture_size import picture_size

RED, GREEN, BLUE = (200, 10, 20), (15, 210, 25), (30, 5, 220)


def quadrants(height: int = 40, width: int = 60) -> np.ndarray:
    """A picture whose corners differ, so that swapped channels or axes show."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = RED
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = BLUE
    image[height // 2 :, width // 2 :] = 128
    return image


def mosaic(image: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor with that Bayer pattern (ROS's name for it) records of an RGB image."""
    out = np.empty(image.shape[:2], np.uint8)
    for place, letter in enumerate(pattern):
        y, x = divmod(place, 2)
        out[y::2, x::2] = image[y::2, x::2, "rgb".index(letter)]
    return out


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_colour_is_exact_whatever_the_step(encoding: str, padding: int) -> None:
    image = quadrants()
    sent = image if encoding == "rgb8" else image[..., ::-1]
    rows = np.pad(sent.reshape(40, -1), ((0, 0), (0, padding)), constant_values=99)
    got = RawImage(40, 60, encoding, 0, 180 + padding, rows.tobytes()).decode()
    assert np.array_equal(got, image)


def test_mono_is_repeated() -> None:
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    got = RawImage(4, 6, "mono8", 0, 6, grey.tobytes()).decode()
    assert np.array_equal(got, np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_gives_back_the_colours(pattern: str) -> None:
    image = quadrants()
    got = RawImage(40, 60, f"bayer_{pattern}8", 0, 60, mosaic(image, pattern).tobytes()).decode()
    # Interpolation smears the borders between the quadrants only.
    for y, x in ((8, 10), (8, 50), (30, 10), (30, 50)):
        assert got[y, x].tolist() == image[y, x].tolist()


def test_the_data_field_of_rclpy_and_of_rosbags() -> None:
    image = quadrants()
    for data in (array.array("B", image.tobytes()), image.ravel(), memoryview(image.tobytes())):
        assert np.array_equal(RawImage(40, 60, "rgb8", 0, 180, data).decode(), image)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((4, 6, "yuv422", 0, 12, bytes(48)), "unknown encoding 'yuv422': use one of bgr8"),
        ((4, 6, "rgb8", 0, 18, bytes(71)), "71 bytes, 6×4 rgb8 needs 72"),
        ((4, 6, "rgb8", 0, 17, bytes(72)), "step 17 is shorter"),
        ((0, 6, "rgb8", 0, 18, b""), "out of bounds"),
        ((2**31, 2**31, "mono8", 0, 2**31, bytes(9)), "out of bounds"),
        ((16000, 16000, "mono8", 0, 16000, bytes(9)), "out of bounds"),
        ((1, 6, "bayer_rggb8", 0, 6, bytes(6)), "too small"),
    ],
)
def test_raw_is_refused_with_the_reason(fields: tuple[object, ...], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        RawImage(*fields).decode()  # type: ignore[arg-type]


@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".jpg", 6)])
def test_compressed(suffix: str, tolerance: int) -> None:
    image = quadrants()
    data = cv2.imencode(suffix, image[..., ::-1])[1].tobytes()
    got = decode_compressed(data)
    assert got.shape == image.shape
    assert abs(int(got[5, 5, 0]) - RED[0]) <= tolerance
    assert abs(int(got[35, 5, 2]) - BLUE[2]) <= tolerance


def test_progressive_jpeg_and_padding() -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    data = cv2.imencode(".jpg", quadrants(), options)[1].tobytes()
    assert decode_compressed(data + bytes(3)).shape == (40, 60, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_every_truncation_is_refused(suffix: str) -> None:
    data = cv2.imencode(suffix, quadrants())[1].tobytes()
    for length in range(0, len(data) - 1, 13):
        with pytest.raises(ImageError):
            decode_compressed(data[:length])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither JPEG nor PNG: data starts with nothing"),
        (b"GIF89a", "neither JPEG nor PNG"),
        (b"\xff\xd8\xff\xd9", "no frame header"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x00\x00\xff\xd9", "out of bounds"),
    ],
)
def test_compressed_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_compressed(data)


def test_a_png_bomb_is_refused_by_its_header() -> None:
    data = bytearray(cv2.imencode(".png", quadrants())[1].tobytes())
    data[16:24] = (2_000_000_000).to_bytes(4, "big") * 2
    with pytest.raises(ImageError, match="out of bounds"):
        decode_compressed(bytes(data))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".ppm", ".pgm", ".webp", ".tif"])
def test_the_size_is_in_the_header_of_every_kind(suffix: str, tmp_path: Path) -> None:
    image = quadrants(43, 61) if suffix != ".pgm" else quadrants(43, 61)[..., 0]
    path = tmp_path / f"picture{suffix}"
    assert cv2.imwrite(str(path), image)
    assert picture_size(path.read_bytes()) == (43, 61)
    assert read_picture(path).shape == (43, 61, 3)


@pytest.mark.parametrize(
    ("options", "start"),
    [([cv2.IMWRITE_WEBP_QUALITY, 101], b"VP8L"), ([cv2.IMWRITE_WEBP_QUALITY, 50], b"VP8 ")],
)
def test_kinds_of_webp(options: list[int], start: bytes) -> None:
    data = cv2.imencode(".webp", quadrants(43, 61), options)[1].tobytes()
    assert data[12:16] == start
    assert picture_size(data) == (43, 61)
    extended = b"VP8X" + struct.pack("<II", 10, 0) + b"\x3c\0\0\x2a\0\0"
    assert picture_size(data[:12] + extended + data[12:]) == (43, 61)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".webp", ".tif"])
def test_a_picture_file_over_the_bound_is_refused_by_its_header(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"picture{suffix}"
    cv2.imwrite(str(path), quadrants())
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 60 - 1)
    with pytest.raises(ImageError, match="out of bounds"):
        read_picture(path)


STARTS = (b"", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\0\0\0\0WEBPVP8X", b"II*\0", b"P6\n")


@given(st.sampled_from(STARTS), st.binary(max_size=100))
def test_any_header_gives_a_size_or_a_value_error(start: bytes, rest: bytes) -> None:
    with suppress(ValueError):
        assert len(picture_size(start + rest)) == 2


def test_a_small_file_of_64_million_pixels_is_refused() -> None:
    data = cv2.imencode(".png", np.zeros((8_000, 8_000), np.uint8))[1].tobytes()
    assert len(data) < 300_000
    with pytest.raises(ImageError, match="out of bounds"):
        decode_compressed(data)


def test_more_scans_than_encoders_write_are_refused() -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    data = cv2.imencode(".jpg", quadrants(), options)[1].tobytes()
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="scans"):
        decode_compressed(data[:-2] + 64 * scan + data[-2:])


MEMORY_OF_DECODING = """
import re, sys
from pathlib import Path
from bift_ros.perception.images import decode_compressed

def highest():  # of this process alone: what getrusage tells begins with its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10

data = Path(sys.argv[1]).read_bytes()
before = highest()
decode_compressed(data)
print(highest() - before)
"""


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_largest_image_takes_bounded_memory(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"largest{suffix}"
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
    picture = np.zeros((4_096, 4_096, 3), np.uint8)
    cv2.imwrite(str(path), picture, options if suffix == ".jpg" else [])
    command = [sys.executable, "-c", MEMORY_OF_DECODING, str(path)]
    taken = int(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    assert 3 * images.MAX_PIXELS <= taken < images.BYTES_OF_A_PIXEL * images.MAX_PIXELS


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-2, 50), st.integers(-2, 50), st.sampled_from([*ENCODINGS, "", "rgb16"]),
    st.integers(-5, 200), st.binary(max_size=2000),
)  # fmt: skip
def test_any_raw_fields_give_an_image_or_an_image_error(
    height: int, width: int, encoding: str, step: int, data: bytes
) -> None:
    try:
        image = RawImage(height, width, encoding, 0, step, data).decode()
    except ImageError:
        return
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_jpeg_gives_an_image_or_an_image_error(data: st.DataObject) -> None:
    jpeg = bytearray(cv2.imencode(".jpg", quadrants())[1].tobytes())
    for _ in range(data.draw(st.integers(1, 6))):
        jpeg[data.draw(st.integers(0, len(jpeg) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_compressed(bytes(jpeg))
    except ImageError:
        return
    assert image.ndim == 3
