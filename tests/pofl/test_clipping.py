"""Norm clipping in integers, against floats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.pofl.clipping import LONGEST, UNIT, clipping_scales, scaled


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_scaled_updates_are_no_longer_than_allowed(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.rint(rng.normal(0, 100, (n, 60)) * rng.choice([1, 1, 1, 5, 90], (n, 1)))
    gram = (rows @ rows.T).astype(np.int64)
    lengths = np.linalg.norm(rows, axis=1)
    longest = LONGEST * sorted(lengths)[(n - 1) // 2]
    scales = clipping_scales(gram)
    for scale, length in zip(scales, lengths, strict=True):
        assert scale == pytest.approx(UNIT * min(1.0, longest / length), abs=1.5, rel=0.01)
    kept = rows * (np.array(scales) / UNIT)[:, None]
    assert scaled(gram, scales) == pytest.approx(kept @ kept.T, rel=1e-6, abs=3)


def test_arithmetic_holds_at_the_largest_size() -> None:
    gram = np.full((2, 2), -(2**61), np.int64)
    assert (scaled(gram, [UNIT, UNIT]) == gram).all()
    assert (scaled(gram, [UNIT // 2, UNIT]) == [[-(2**59), -(2**60)], [-(2**60), -(2**61)]]).all()


def test_updates_of_zeros_stay() -> None:
    assert clipping_scales(np.zeros((3, 3), np.int64)) == [UNIT] * 3
