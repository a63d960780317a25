"""bift_ros.pofl.files: one byte string for each content, readable by any safetensors reader."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bift_ros.pofl.codec import ModelSpec, TensorSpec
from bift_ros.pofl.files import (
    ModelFileError,
    parse_model,
    parse_update,
    serialize_model,
    serialize_update,
)

shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
names = st.text(min_size=1, max_size=8).filter(
    lambda name: not any("\ud800" <= letter <= "\udfff" for letter in name)
)
specs = st.dictionaries(names, shapes, min_size=1, max_size=4).map(
    lambda tensors: ModelSpec(tuple(TensorSpec(n, s) for n, s in sorted(tensors.items())))
)
exponents = st.integers(0, 30)

SPEC = ModelSpec((TensorSpec("bias", (2,)), TensorSpec("weight", (2, 3))))
MODEL = np.arange(8, dtype=np.int32) - 4
UPDATE = np.arange(8, dtype=np.int16) - 4


@given(st.data(), specs, exponents)
def test_a_model_survives_the_round_trip(
    data: st.DataObject, spec: ModelSpec, exponent: int
) -> None:
    model = data.draw(hnp.arrays(np.int32, spec.size))
    found_spec, found, found_exponent = parse_model(serialize_model(spec, model, exponent))
    assert (found_spec, found_exponent) == (spec, exponent)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, model)


@given(st.data(), specs, exponents)
def test_an_update_survives_the_round_trip(
    data: st.DataObject, spec: ModelSpec, exponent: int
) -> None:
    update = data.draw(hnp.arrays(np.int16, spec.size))
    found = parse_update(serialize_update(spec, update, exponent), spec, exponent)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, update)


@given(st.data(), specs)
def test_the_safetensors_library_reads_it(data: st.DataObject, spec: ModelSpec) -> None:
    model = data.draw(hnp.arrays(np.int32, spec.size))
    tensors = safetensors.numpy.load(serialize_model(spec, model, 20))
    assert {name: array.shape for name, array in tensors.items()} == {
        tensor.name: tensor.shape for tensor in spec.tensors
    }
    flat = [tensors[tensor.name].ravel() for tensor in spec.tensors]
    np.testing.assert_array_equal(np.concatenate(flat), model)


def test_the_bytes_are_pinned() -> None:
    spec = ModelSpec((TensorSpec("w", (2,)),))
    data = serialize_update(spec, np.array([1, -2], np.int16), 14)
    header = (
        b'{"__metadata__":{"exponent":"14","format":"bift-update"},'
        b'"w":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}'
    )
    header += b" " * (-len(header) % 8)
    assert data == len(header).to_bytes(8, "little") + header + b"\x01\x00\xfe\xff"


@settings(max_examples=300)
@given(st.data())
def test_no_other_bytes_parse_to_a_model(data: st.DataObject) -> None:
    """Any change either fails to parse, or parses to what serialises to the changed bytes."""
    changed = bytearray(serialize_model(SPEC, MODEL, 20))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed) - 1)) :]
    try:
        parsed = parse_model(bytes(changed))
    except ModelFileError:
        return
    assert serialize_model(*parsed) == bytes(changed)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(ModelFileError):
        parse_model(noise)
    with pytest.raises(ModelFileError):
        parse_update(noise, SPEC, 14)


def with_header(text: str) -> bytes:
    """A model file's data under another header."""
    header = text.encode()
    return len(header).to_bytes(8, "little") + header + MODEL.tobytes()


def entries() -> dict[str, object]:
    """SPEC's header, as it should be."""
    data = serialize_model(SPEC, MODEL, 20)
    return dict(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"__metadata__": {"exponent": "99", "format": "bift-model"}}, "exponent 99"),
        ({"__metadata__": {"exponent": "-1", "format": "bift-model"}}, "exponent -1"),
        ({"__metadata__": {"exponent": "x", "format": "bift-model"}}, "bad value"),
        ({"__metadata__": {"exponent": "20", "format": "bift-update"}}, "is a 'bift-update'"),
        ({"__metadata__": {"exponent": "020", "format": "bift-model"}}, "canonical"),
        ({"__metadata__": 3}, "wrong type"),
        ({"bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "canonical"),
        ({"bias": {"dtype": "I32", "shape": [2], "data_offsets": [8, 16]}}, "canonical"),
        ({"bias": {"dtype": "I32", "shape": [-2], "data_offsets": [0, 8]}}, "every side"),
        ({"bias": {"dtype": "I32", "shape": "2", "data_offsets": [0, 8]}}, "every side"),
        ({"bias": {"dtype": "I32", "shape": [2.0], "data_offsets": [0, 8]}}, "every side"),
        ({"bias": {"dtype": "I32", "shape": [10**18], "data_offsets": [0, 8]}}, "larger"),
        ({"bias": []}, "wrong type"),
    ],
)
def test_a_bad_header_is_refused_with_the_reason(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        parse_model(with_header(json.dumps(entries() | change, separators=(",", ":"))))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", "9" * 5000, '{"a":NaN}'])
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(ModelFileError):
        parse_model(with_header(text))


HUGE = 10**4000
HOSTILE = {
    "an infinite exponent": {"__metadata__": {"exponent": float("inf"), "format": "bift-model"}},
    "more values than digits can write": {"bias": {"shape": [HUGE, HUGE]}},
    "a product that takes minutes": {"bias": {"shape": [HUGE] * 900}},
    "a long kind": {"__metadata__": {"exponent": "20", "format": "x" * 10_000}},
    "a long name": {"b" * 10_000: {"shape": [0]}},
    "a long shape": {"bias": {"shape": ["x" * 10_000]}},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_is_refused_in_few_words(what: str) -> None:
    entries = {"__metadata__": {"exponent": "20", "format": "bift-model"}} | HOSTILE[what]
    text = json.dumps(entries, separators=(",", ":")).encode()
    with pytest.raises(ModelFileError) as caught:
        parse_model(len(text).to_bytes(8, "little") + text)
    assert len(str(caught.value)) < 500


def test_an_update_for_a_strange_model_is_refused_in_few_words() -> None:
    strange = ModelSpec((TensorSpec("b" * 10_000, (1,) * 10_000),))
    update = serialize_update(strange, np.ones(1, np.int16), 14)
    with pytest.raises(ModelFileError, match="another model") as caught:
        parse_update(update, ModelSpec((TensorSpec("b" * 10_000, (1,)),)), 14)
    assert len(str(caught.value)) < 500


def test_unsorted_tensors_are_refused() -> None:
    order = entries()
    swapped = {key: order[key] for key in ("__metadata__", "weight", "bias")}
    with pytest.raises(ModelFileError, match="sorted"):
        parse_model(with_header(json.dumps(swapped)))


def test_truncated_and_extended_files_are_refused() -> None:
    data = serialize_update(SPEC, UPDATE, 14)
    for broken in (b"", data[:7], data[:20], data[:-1], data + b"\0"):
        with pytest.raises(ModelFileError, match="bytes"):
            parse_update(broken, SPEC, 14)


def test_a_huge_header_is_refused_unread() -> None:
    length = 8 * 1024 * 1024
    with pytest.raises(ModelFileError, match="over the limit"):
        parse_model(length.to_bytes(8, "little") + b" " * length)


def test_an_update_of_another_task_is_refused_with_the_difference() -> None:
    with pytest.raises(ModelFileError, match=r"scale 2\^-12, the task's is 2\^-14"):
        parse_update(serialize_update(SPEC, UPDATE, 12), SPEC, 14)
    for tensors, reason in (
        ((TensorSpec("bias", (2,)), TensorSpec("weight", (3, 2))), r"'weight' has shape \[3, 2\]"),
        ((TensorSpec("bias", (2,)), TensorSpec("wight", (2, 3))), "'weight' is missing"),
        ((*SPEC.tensors, TensorSpec("x", ())), "'x' is not in the task's model"),
    ):
        other = ModelSpec(tensors)
        data = serialize_update(other, np.zeros(other.size, np.int16), 14)
        with pytest.raises(ModelFileError, match=reason):
            parse_update(data, SPEC, 14)
    with pytest.raises(ModelFileError, match="'bift-model', not a 'bift-update'"):
        parse_update(serialize_model(SPEC, MODEL, 14), SPEC, 14)


def test_serialising_checks_its_arguments() -> None:
    with pytest.raises(ModelFileError, match=r"int32\[8\], not int16\[8\]"):
        serialize_model(SPEC, UPDATE, 20)  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match=r"not int16\[7\]"):
        serialize_update(SPEC, UPDATE[:7], 14)
    for exponent in (-1, 31):
        with pytest.raises(ModelFileError, match=rf"exponent {exponent} is outside 0\.\.30"):
            serialize_update(SPEC, UPDATE, exponent)
