"""bift_ros.pofl.codec: floats to fixed point and back."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bift_ros.pofl.codec import (
    MODEL_EXPONENT,
    UPDATE_EXPONENT,
    ModelSpec,
    NonFiniteModel,
    NonFiniteUpdate,
    TensorSpec,
    decode_model,
    encode_model,
    encode_update,
)

INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)

floats32 = hnp.arrays(
    np.float32, st.integers(1, 20), elements=st.floats(-3000, 3000, width=32, allow_subnormal=True)
)


def exact(value: float, exponent: int, limits: np.iinfo) -> int:
    """The codec's rule in rational arithmetic: round() of a Fraction is half to even."""
    return max(limits.min, min(limits.max, round(Fraction(value) * 2**exponent)))


@given(floats32)
def test_encoding_a_model_rounds_half_to_even_and_saturates(values: np.ndarray) -> None:
    expected = [exact(float(v), MODEL_EXPONENT, INT32) for v in values]
    assert encode_model(values).tolist() == expected


@given(hnp.arrays(np.int32, 20))
def test_decoding_gives_the_nearest_float32(model: np.ndarray) -> None:
    expected = [np.float32(int(m) / 2**MODEL_EXPONENT) for m in model]
    assert decode_model(model).dtype == np.float32
    assert decode_model(model).tolist() == expected


@given(hnp.arrays(np.int32, 20, elements=st.integers(-(2**24), 2**24)))
def test_a_model_that_float32_holds_survives_the_round_trip(model: np.ndarray) -> None:
    assert encode_model(decode_model(model)).tolist() == model.tolist()


@given(st.data(), floats32)
def test_an_update_is_the_clipped_rounded_difference(
    data: st.DataObject, local: np.ndarray
) -> None:
    start = data.draw(hnp.arrays(np.int32, local.size))
    if data.draw(st.booleans()):  # near the start, so that not all of them clip
        start = (encode_model(local).astype(np.int64) // 2).astype(np.int32) * 2
    expected = [
        # The difference is taken in double precision: what is far below a step may be lost.
        exact(float(v) - int(g) / 2**MODEL_EXPONENT, UPDATE_EXPONENT, INT16)
        for v, g in zip(local, start, strict=True)
    ]
    update = encode_update(local, start)
    assert update.dtype == np.int16
    assert update.tolist() == expected


def test_halves_go_to_the_even_neighbour() -> None:
    step = 2.0**-UPDATE_EXPONENT
    local = np.array([0.5, 1.5, 2.5, -0.5, -1.5]) * step
    assert encode_update(local, np.zeros(5, np.int32)).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_model_is_refused(bad: float) -> None:
    values = np.array([0.0, bad, 1.0], np.float32)
    with pytest.raises(NonFiniteUpdate, match="1 of 3"):
        encode_update(values, np.zeros(3, np.int32))
    with pytest.raises(NonFiniteModel):
        encode_model(values)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        encode_update(np.zeros(3), np.zeros(4, np.int32))


def test_a_spec_counts_its_parameters() -> None:
    spec = ModelSpec((TensorSpec("a", (2, 3)), TensorSpec("b", ()), TensorSpec("c", (4,))))
    assert spec.size == 11


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ()])
def test_tensors_are_sorted_unique_and_some(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="tensor"):
        ModelSpec(tuple(TensorSpec(name, (1,)) for name in names))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("", (1,)),
        ("__metadata__", (1,)),
        ("\ud800", (1,)),
        ("a", (0,)),
        ("a", (-1,)),
        ("a", (True,)),
    ],
)
def test_a_bad_tensor_spec_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="tensor"):
        TensorSpec(name, shape)
