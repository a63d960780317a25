"""The files that stores must agree on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

CHUNK = 262_144
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10_000_000, 100_000_000)
"""Bytes: nothing, one byte, about one chunk, a model, a map."""

_VECTORS = json.loads(Path(__file__).with_name("kubo_vectors.json").read_text())["files"]
VECTORS = [case for case in _VECTORS if case["size"] != 100_000_000]
EXPECTED = {case["size"]: case["cid"] for case in _VECTORS if case["chunk_size"] == CHUNK}
"""The CID that Kubo gives `sample(size)`, for each of `SIZES`."""


def sample(size: int) -> bytes:
    """The same `size` bytes each time."""
    return hashlib.shake_256(b"bift test vector").digest(size)
