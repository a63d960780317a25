"""Leading directions in integers, against NumPy's eigenvectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spectrum_error import errors

from bift_ros.pofl.spectrum import Int64Array, centred, leading_directions


def gram_of(rows: Int64Array) -> Int64Array:
    return rows @ rows.T


def about_mean(gram: Int64Array) -> np.ndarray:
    about = np.eye(len(gram)) - 1 / len(gram)
    return about @ gram.astype(float) @ about


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 24), st.integers(1, 3_000))
def test_centred_inner_products_are_numpys(seed: int, n: int, scale: int) -> None:
    rows = np.random.default_rng(seed).integers(-scale, scale + 1, (n, 50))
    assert np.abs(centred(gram_of(rows)) - about_mean(gram_of(rows))).max() < 4


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(6, 24), st.integers(1, 12))
def test_two_directions_are_numpys(seed: int, n: int, scale: int) -> None:
    """Two groups pull in ways of their own, one much harder, so both are well separated."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 20 * scale, (n, 400))
    rows[: n // 3] += 120 * scale * rng.choice([-1, 1], 400)
    rows[-2:] += 50 * scale * rng.choice([-1, 1], 400)
    gram = gram_of(np.rint(rows).astype(np.int64))
    values, vectors = np.linalg.eigh(about_mean(gram))
    found = leading_directions(centred(gram), 2)
    assert len(found) == 2
    for direction, vector, value in zip(found, vectors.T[::-1], values[::-1], strict=False):
        places = direction.places / np.linalg.norm(direction.places)
        assert abs(places @ vector) == pytest.approx(1, abs=1e-3)
        share = direction.variance / found[0].variance
        assert share == pytest.approx(value / values[-1], rel=1e-3)
    assert abs(found[0].places @ found[1].places) < 1e-5 * found[0].norm


def test_the_ratio_that_robust_decides_on_is_numpys() -> None:
    """For fleets of all sizes and kinds (figures: docs/robust.md)."""
    assert max(errors(200)) < 1e-4


def test_no_start_is_unlucky() -> None:
    """Two directions as good as each other, and rows of the matrix that see one of them only."""
    rows = np.zeros((8, 12), np.int64)
    rows[:2, 0], rows[2:4, 1], rows[4:6, 2] = (1_000, -1_000), (1_000, -1_000), (999, -999)
    rows[6:, 3] = (600, -600)
    variances = [found.variance for found in leading_directions(centred(gram_of(rows)), 4)]
    shares = [variance / variances[0] for variance in variances]
    assert shares == pytest.approx([1, 1, 0.999**2, 0.36], rel=1e-5)


@pytest.mark.parametrize("n", [240, 1_000])
def test_large_fleets_keep_the_bound(n: int) -> None:
    rng = np.random.default_rng(n)
    gram = gram_of(np.rint(rng.normal(0, 40, (n, 300))).astype(np.int64))
    values = np.linalg.eigvalsh(about_mean(gram))
    (direction,) = leading_directions(centred(gram), 1)
    unit = max(int(np.abs(centred(gram)).max()).bit_length() - 25, 0)
    assert direction.variance * 2.0**unit == pytest.approx(values[-1], rel=2e-3)


def test_equal_updates_have_no_direction() -> None:
    gram = gram_of(np.full((5, 9), 7))
    assert leading_directions(centred(gram), 2) == []
    assert leading_directions(centred(gram[:1, :1]), 2) == []


def test_a_single_difference_is_one_direction() -> None:
    """Updates on a line: there is one direction and nothing beside it."""
    rows = np.outer([0, 0, 0, 1, 5], np.arange(1, 8))
    (direction,) = leading_directions(centred(gram_of(rows)), 3)
    assert int(np.argmax(np.abs(direction.places))) == 4


def test_arithmetic_holds_at_the_largest_size() -> None:
    """Inner products as large as n d < 2**31 allows: nothing wraps around."""
    n, d = 4, 2**31 // 4 - 1
    gram = np.full((n, n), 2**30 * d, np.int64)
    gram[3, :3] = gram[:3, 3] = -(2**30) * d
    about = centred(gram)
    assert np.abs(about / about_mean(gram) - 1).max() < 1e-9
    (direction,) = leading_directions(about, 2)
    assert int(np.argmax(np.abs(direction.places))) == 3
