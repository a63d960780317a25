"""Canonical bytes: one value, one byte string, whatever bytes come in."""

from __future__ import annotations

import contextlib
from typing import Any

import dag_cbor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import CID

from bift_ros.consensus.encoding import MAX_DEPTH, decode, encode, sha256
from bift_ros.consensus.exceptions import EncodingError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
VALUES = st.lists(SCALARS | st.lists(SCALARS, max_size=4), max_size=6)


@given(VALUES)
def test_round_trip(value: list[Any]) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data


@given(VALUES)
def test_it_is_what_the_dag_cbor_package_writes(value: list[Any]) -> None:
    assert encode(value) == dag_cbor.encode(value)


@given(st.integers(0, 63), st.sampled_from([-1, 0, 1]), st.booleans())
def test_integers_around_powers_of_two(power: int, delta: int, negative: bool) -> None:
    value = 2**power + delta
    value = -value if negative else value
    assert encode(value) == dag_cbor.encode(value)
    assert decode(encode(value)) == value


@pytest.mark.parametrize("value", [2**64 - 1, -(2**64)])
def test_the_largest_and_the_smallest_integer(value: int) -> None:
    assert encode(value) == dag_cbor.encode(value)
    assert decode(encode(value)) == value


def test_every_small_integer_has_its_shortest_form_and_no_other() -> None:
    for value in range(-700, 700):
        data = encode(value)
        assert data == dag_cbor.encode(value)
        assert decode(data) == value
        head, number = data[0] & 0xE0, abs(value + (value < 0))
        for info, size in ((24, 1), (25, 2), (26, 4)):
            longer = bytes([head | info]) + (number % 2 ** (8 * size)).to_bytes(size, "big")
            if len(longer) > len(data):
                with pytest.raises(EncodingError):
                    decode(longer)


@settings(max_examples=500)
@given(st.binary(max_size=12) | VALUES.map(dag_cbor.encode).map(lambda b: b[:-1]))
def test_what_it_reads_the_dag_cbor_package_reads_alike(data: bytes) -> None:
    try:
        value = decode(data)
    except EncodingError:
        return
    assert dag_cbor.decode(data) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_either_canonical_or_refused(data: bytes) -> None:
    try:
        value = decode(data)
    except EncodingError:
        return
    assert encode(value) == data


@given(VALUES, st.data())
def test_a_changed_byte_never_gives_the_same_value(value: list[Any], data: st.DataObject) -> None:
    good = encode(value)
    position = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[position] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(EncodingError):
        assert encode(decode(bytes(bad))) != good


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x18\x01",  # 1 in two bytes
        b"\x1b\x00\x00\x00\x00\x00\x00\x00\x01",  # 1 in nine bytes
        b"\x9f\x01\xff",  # a list of unknown length
        b"\xf9\x3c\x00",  # a half-width float
        b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
        b"\xa1\x61a\x01",  # a map
        b"\xd8\x2a\x40",  # a link
        b"\x62\xff\xff",  # text that is not UTF-8
        b"\x01\x01",  # two items
        b"\x82\x01",  # a list cut short
        b"\x5b" + b"\xff" * 8,  # a string of 2^64 bytes
        b"\x9b" + b"\xff" * 8,  # a list of 2^64 items
        b"\xf7",  # undefined
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        decode(data)


def test_deep_nesting_is_refused() -> None:
    deepest: Any = 1
    for _ in range(MAX_DEPTH):
        deepest = [deepest]
    assert decode(encode(deepest)) == deepest
    with pytest.raises(EncodingError, match="nested deeper"):
        encode([deepest])
    with pytest.raises(EncodingError, match="nested deeper"):
        decode(b"\x81" * 100_000)


@pytest.mark.parametrize("value", [float("nan"), {"a": 1}, object(), 2**64, -(2**64) - 1, [1, {}]])
def test_values_without_a_form(value: Any) -> None:
    with pytest.raises(EncodingError):
        encode(value)


def test_a_hash_is_the_digest_of_an_ipld_cid() -> None:
    data = encode([1, b"two", "three"])
    cid = str(CID("base32", 1, "dag-cbor", ("sha2-256", sha256(data))))
    assert cid.startswith("bafyrei")
    assert len(cid) == 59
    assert CID.decode(cid).codec.name == "dag-cbor"
    assert CID.decode(cid).digest == b"\x12\x20" + sha256(data)
