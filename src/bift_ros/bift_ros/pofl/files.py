"""Models and updates as files: safetensors, with exactly one byte string for each content.

Peers name a file by its hash, so the same parameters must always give the same bytes. The layout is
plain safetensors (github.com/huggingface/safetensors, README "Format"), and any safetensors reader
opens it. What that format leaves open is fixed here: tensors sorted by name, data in that order
without gaps, compact JSON with the metadata first, spaces up to 8 bytes.

Parsing accepts only what serialising gives. It reads the header, writes it again, and compares.
Nothing here is ever unpickled.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np

from bift_ros.pofl.codec import MAX_EXPONENT, Int16Array, Int32Array, ModelSpec, TensorSpec

MAX_HEADER_BYTES = 4 * 1024 * 1024
"""A header longer than this is refused unread (about 40,000 tensors)."""
MAX_MODEL_BYTES = 128 * 1024 * 1024
"""A model's file that is longer is none (about 33 million parameters): nobody need fetch more."""

_MODEL = "bift-model"
_UPDATE = "bift-update"
_DTYPES: dict[str, tuple[str, np.dtype[Any]]] = {
    _MODEL: ("I32", np.dtype("<i4")),
    _UPDATE: ("I16", np.dtype("<i2")),
}


class ModelFileError(ValueError):
    """Bytes that are no canonical model or update file, with the reason."""


def serialize_model(spec: ModelSpec, model: Int32Array, exponent: int) -> bytes:
    """A global model, int32[d] at ``2**-exponent``, as a file's bytes.

    Raises ModelFileError where the array doesn't fit the spec, or the file would be too long.
    """
    data = _serialize(_MODEL, spec, model, exponent)
    if len(data) > MAX_MODEL_BYTES:
        raise ModelFileError(f"model of {len(data)} bytes is over the limit of {MAX_MODEL_BYTES}")
    return data


def serialize_update(spec: ModelSpec, update: Int16Array, exponent: int) -> bytes:
    """An update, int16[d] at ``2**-exponent``, as a file's bytes.

    Raises ModelFileError where the array doesn't fit the spec.
    """
    return _serialize(_UPDATE, spec, update, exponent)


def parse_model(data: bytes) -> tuple[ModelSpec, Int32Array, int]:
    """A model file's spec, parameters int32[d] (read-only, a view of the bytes) and exponent.

    Raises ModelFileError for any bytes that `serialize_model` would not give.
    """
    if len(data) > MAX_MODEL_BYTES:
        raise ModelFileError(f"model of {len(data)} bytes is over the limit of {MAX_MODEL_BYTES}")
    spec, exponent, start = _parse_header(_MODEL, data)
    values = _values(_MODEL, data, start, spec)
    return spec, values.astype(np.int32, copy=False), exponent


def parse_update(data: bytes, spec: ModelSpec, exponent: int) -> Int16Array:
    """An update file's parameters, int16[d] (read-only, a view of the bytes).

    Raises ModelFileError for any bytes that `serialize_update` would not give for this spec and
    exponent: the task's, from its initial model and its proposal.
    """
    expected = _header(_UPDATE, spec, exponent)
    if not data.startswith(expected):  # read it only to say what is wrong
        found, found_exponent, _ = _parse_header(_UPDATE, data)
        if found_exponent != exponent:
            raise ModelFileError(
                f"update is at scale 2^-{found_exponent}, the task's is 2^-{exponent}"
            )
        raise ModelFileError(f"update is for another model: {_difference(found, spec):.300}")
    return _values(_UPDATE, data, len(expected), spec).astype(np.int16, copy=False)


def update_bytes(spec: ModelSpec, exponent: int) -> int:
    """How long every update file for this spec and exponent is."""
    return len(_header(_UPDATE, spec, exponent)) + spec.size * _DTYPES[_UPDATE][1].itemsize


def _serialize(kind: str, spec: ModelSpec, values: Int32Array | Int16Array, exponent: int) -> bytes:
    dtype = _DTYPES[kind][1]
    if values.dtype != dtype.newbyteorder("=") or values.shape != (spec.size,):
        raise ModelFileError(
            f"{kind} needs {dtype.name}[{spec.size}], not {values.dtype.name}{list(values.shape)}"
        )
    if not 0 <= exponent <= MAX_EXPONENT:
        raise ModelFileError(f"exponent {exponent} is outside 0..{MAX_EXPONENT}")
    return _header(kind, spec, exponent) + values.astype(dtype, copy=False).tobytes()


@lru_cache(maxsize=8)
def _header(kind: str, spec: ModelSpec, exponent: int) -> bytes:
    """The length prefix and the padded JSON: all that stands before the data."""
    code, dtype = _DTYPES[kind]
    entries: dict[str, Any] = {"__metadata__": {"exponent": str(exponent), "format": kind}}
    offset = 0
    for tensor in spec.tensors:
        end = offset + tensor.size * dtype.itemsize
        entries[tensor.name] = {
            "dtype": code,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _parse_header(kind: str, data: bytes) -> tuple[ModelSpec, int, int]:
    """The spec, the exponent and where the data starts; refuses a header not canonical."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ModelFileError(f"file of {len(data)} bytes ends inside its header")
    if length > MAX_HEADER_BYTES:
        raise ModelFileError(f"header of {length} bytes is over the limit of {MAX_HEADER_BYTES}")
    spec, exponent = _read_header(kind, data[: 8 + length], len(data))
    return spec, exponent, 8 + length


@lru_cache(maxsize=8)
def _read_header(kind: str, header: bytes, file_bytes: int) -> tuple[ModelSpec, int]:
    """The spec and the exponent; remembered, since one task's files all have the same header."""
    try:
        entries = json.loads(header[8:].decode())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"header is not JSON: {error}") from None
    try:
        metadata = entries.pop("__metadata__")
        found_kind = metadata["format"]
        if found_kind != kind:
            raise ModelFileError(f"file is a {found_kind!r:.60}, not a {kind!r}")
        exponent = int(metadata["exponent"])
        spec = ModelSpec(
            tuple(TensorSpec(name, tuple(entry["shape"])) for name, entry in entries.items())
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"header lacks a field or has one of a wrong type: {error!s:.200}"
        ) from None
    except ModelFileError:
        raise
    except (OverflowError, ValueError) as error:  # an infinite exponent overflows
        raise ModelFileError(f"header has a bad value: {error!s:.200}") from None
    _check_sizes(spec, file_bytes)
    if not 0 <= exponent <= MAX_EXPONENT:
        raise ModelFileError(f"exponent {exponent} is outside 0..{MAX_EXPONENT}")
    if header != _header(kind, spec, exponent):
        raise ModelFileError("header is not in canonical form (field order, types or offsets)")
    return spec, exponent


def _check_sizes(spec: ModelSpec, limit: int) -> None:
    """Refuse tensors of more values than the file has bytes.

    JSON writes integers of thousands of digits: their product would take minutes, and could not
    be written again.
    """
    for tensor in spec.tensors:
        size = 1
        for side in tensor.shape:
            size *= side
            if size > limit:
                raise ModelFileError(f"tensor {tensor.name!r:.60} is larger than the file")


def _values(kind: str, data: bytes, start: int, spec: ModelSpec) -> np.ndarray[Any, Any]:
    dtype = _DTYPES[kind][1]
    expected = start + spec.size * dtype.itemsize
    if len(data) != expected:
        raise ModelFileError(f"file has {len(data)} bytes, its header asks for {expected}")
    return np.frombuffer(data, dtype, offset=start)


def _difference(found: ModelSpec, expected: ModelSpec) -> str:
    """The first tensor in which two specs differ, for an error message."""
    theirs = {tensor.name: tensor.shape for tensor in found.tensors}
    for tensor in expected.tensors:
        if tensor.name not in theirs:
            return f"tensor {tensor.name!r} is missing"
        shape = theirs.pop(tensor.name)
        if shape != tensor.shape:
            return f"tensor {tensor.name!r} has shape {list(shape)}, not {list(tensor.shape)}"
    return f"tensor {next(iter(theirs))!r} is not in the task's model"
