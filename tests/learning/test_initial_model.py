"""Model files that people bring."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from bift_ros.learning.errors import ModelError
from bift_ros.learning.initial_model import initial_model
from bift_ros.pofl.codec import MODEL_EXPONENT, ModelSpec, TensorSpec, decode_model
from bift_ros.pofl.files import parse_model, serialize_model, serialize_update

SPEC = ModelSpec((TensorSpec("bias", (2,)), TensorSpec("weight", (2, 3))))
LIKE = serialize_model(SPEC, np.zeros(8, np.int32), MODEL_EXPONENT)
WEIGHT = np.array([[0.5, -0.25, 1.0], [3.0, 0.125, -2.0]])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_become_fixed_point(kind: type[np.floating]) -> None:
    data = save({"weight": WEIGHT.astype(kind), "bias": np.array([0.75, -1.5], kind)})
    spec, values, exponent = parse_model(initial_model(data, LIKE))
    assert (spec, exponent) == (SPEC, MODEL_EXPONENT)
    assert decode_model(values).tolist() == [0.75, -1.5, *WEIGHT.reshape(-1)]


def test_a_global_model_stays_as_it_is() -> None:
    model = serialize_model(SPEC, np.arange(8, dtype=np.int32), MODEL_EXPONENT)
    assert initial_model(model, LIKE) == model


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x80\x04pickled", "pickled checkpoints are not opened"),
        (b"", "no safetensors file"),
        (save({"weight": WEIGHT, "scale": np.ones(2)}), "lacks bias; has scale besides"),
        (save({"weight": WEIGHT.T.copy(), "bias": np.ones(2)}), r"weight is \(3, 2\), not"),
        (save({"weight": WEIGHT, "bias": np.array([1, 2])}), "bias is int64, not floats"),
        (save({"weight": WEIGHT, "bias": np.array([np.nan, 1])}), "NaN"),
        (serialize_update(SPEC, np.zeros(8, np.int16), 14), "int16, not floats"),
    ],
    ids=["pickle", "empty", "other names", "other shapes", "integers", "NaN", "an update"],
)
def test_what_is_no_model_is_said(data: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        initial_model(data, LIKE)
