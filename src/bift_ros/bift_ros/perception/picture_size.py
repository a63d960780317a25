"""How large a picture is, from its header alone: a small file may unfold into any size.

Of all kinds that are read: JPEG, PNG, BMP, PPM and its kin, WebP, TIFF.
"""

from __future__ import annotations

import re
import struct

JPEG_START, PNG_START = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"

_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P[1-6]" + _BLANK + rb"(\d{1,10})" + _BLANK + rb"(\d{1,10})\s")
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_INTEGERS = {3: "H", 4: "I"}


def picture_size(data: bytes) -> tuple[int, int]:
    """Height and width; raises ValueError for what is of none of the kinds, or is cut off."""
    try:
        if data.startswith(JPEG_START):
            return _jpeg(data)
        if data.startswith(PNG_START):
            return _png(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return _tiff(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the picture's header is cut off") from error
    if found := _PNM.match(data, 0, 4_096):
        return int(found[2]), int(found[1])
    raise ValueError("no picture of a kind that is read")


def _png(data: bytes) -> tuple[int, int]:
    if data[8:16] != b"\0\0\0\rIHDR":
        raise ValueError("damaged PNG: it does not begin with its header")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _jpeg(data: bytes) -> tuple[int, int]:
    """From the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # fill, or no length
            at += 1 if marker == 0xFF else 2
            continue
        # SOF0 to SOF15, but for DHT (C4), JPG (C8) and DAC (CC), which share the range.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("damaged JPEG: no frame header")


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return abs(height), width  # a negative height says that the rows begin at the top


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("damaged WebP: it begins with no picture")
    return height, width


def _tiff(data: bytes) -> tuple[int, int]:
    """From the first directory (TIFF 6.0, section 2)."""
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    sides = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, entry)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_INTEGERS and tag not in sides:
            (sides[tag],) = struct.unpack_from(order + _TIFF_INTEGERS[kind], data, entry + 8)
    if len(sides) < 2:
        raise ValueError("damaged TIFF: no width and height")
    return sides[_TIFF_HEIGHT], sides[_TIFF_WIDTH]
