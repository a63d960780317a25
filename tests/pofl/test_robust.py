"""The rule `robust`: its filter against NumPy's eigenvectors, and what attackers get past it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.pofl.distances import squared_distances
from bift_ros.pofl.robust import (
    TOLERATED,
    robust_notes,
    robust_selection,
    without_copies,
    without_outliers,
)

Rows = npt.NDArray[np.int16]


def honest(rng: np.random.Generator, n: int, d: int, spread: float = 40.0) -> Rows:
    """Updates that agree on a movement and differ by independent noise."""
    return np.rint(rng.normal(0, 30, d) + rng.normal(0, spread, (n, d))).astype(np.int16)


def selected(rows: Rows, byzantine: int) -> list[int]:
    return robust_selection(squared_distances(list(rows)), byzantine)


def test_honest_updates_all_count() -> None:
    rows = honest(np.random.default_rng(1), 30, 5_000)
    assert selected(rows, 9) == list(range(30))


@pytest.mark.parametrize("share", [1.0, 3.0, 20.0])
def test_who_pulls_one_way_together_is_left_out(share: float) -> None:
    """Nine of thirty, none a copy of another, each moved by a share of an honest one's noise."""
    rng = np.random.default_rng(2)
    rows = honest(rng, 30, 5_000)
    way = rng.choice([-1, 1], 5_000)
    rows[21:] += np.rint(share * 40 * way).astype(np.int16)
    kept = selected(rows, 9)
    assert set(range(21)) <= set(kept)
    assert len(kept) <= 23  # one or two alone are no crowd, and move a mean of so many little


def test_crafted_copies_count_once() -> None:
    """ALIE's form: nine times one vector, close to the mean: closer to all than any honest one."""
    rng = np.random.default_rng(3)
    rows = honest(rng, 30, 5_000)
    rows[3:12] = np.rint(rows[12:].mean(0) - 0.4 * rows[12:].std(0)).astype(np.int16)
    kept = selected(rows, 9)
    assert [i for i in kept if 3 <= i < 12] == [3]
    assert set(range(12, 30)) < set(kept)


def test_noise_of_any_size_is_left_out() -> None:
    rng = np.random.default_rng(4)
    rows = honest(rng, 30, 5_000)
    rows[:9] = np.clip(rng.normal(0, 16_000, (9, 5_000)), -32768, 32767).astype(np.int16)
    assert selected(rows, 9) == list(range(9, 30))


def test_without_attackers_none_is_a_copy() -> None:
    """Two that agree and one that doesn't: the two are no copies of each other."""
    rows = honest(np.random.default_rng(6), 3, 500, spread=5.0)
    rows[2] += 1_000
    assert selected(rows, 0) == [0, 1, 2]


def test_no_more_than_f_are_left_out_besides_copies() -> None:
    rng = np.random.default_rng(5)
    rows = honest(rng, 30, 2_000)
    rows[:14] += 300
    assert len(selected(rows, 9)) == 21
    rows[20] = rows[19]
    assert len(selected(rows, 9)) == 21
    assert selected(rows, 0) == list(range(30))


def eigen_outlier(distances: npt.NDArray[np.int64]) -> tuple[int, float]:
    """The update furthest out on the leading direction, and that direction's share, in floats."""
    k = len(distances)
    about = np.eye(k) - 1 / k
    values, vectors = np.linalg.eigh(-about @ distances.astype(float) @ about)
    return int(np.argmax(np.abs(vectors[:, -1]))), values[-1] * (k - 1) / values.sum()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 24), st.integers(1, 12), st.floats(2.0, 60.0))
def test_the_filter_takes_numpys_outlier(seed: int, n: int, scale: int, factor: float) -> None:
    """One update far out along a direction of its own: the leading one is then well separated."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 20 * scale, (n, 400))
    far = int(rng.integers(n))
    rows[far] += factor * 20 * scale * rng.choice([-1, 1], 400)
    distances = squared_distances(list(np.rint(rows).clip(-32768, 32767).astype(np.int16)))
    outlier, share = eigen_outlier(distances)
    kept = without_outliers(distances, list(range(n)), 1)
    if share > TOLERATED * 1.01:
        assert kept == [i for i in range(n) if i != outlier]
    elif share < TOLERATED * 0.99:
        assert kept == list(range(n))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_distances_give_a_selection(data: st.DataObject) -> None:
    """Ties, copies and the largest values that int16 has: n − f at least, but for copies."""
    n, d = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    bound = data.draw(st.sampled_from([1, 300, 2**15 - 1]))
    values = data.draw(st.lists(st.integers(-bound - 1, bound), min_size=n * d, max_size=n * d))
    distances = squared_distances(list(np.array(values, np.int16).reshape(n, d)))
    f = data.draw(st.integers(0, 5))
    kept = robust_selection(distances, f)
    single = without_copies(distances, f)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(single)
    assert len(kept) >= min(max(n - f, 1), len(single))


def test_arithmetic_holds_at_the_largest_size() -> None:
    """Distances as large as n d < 2**31 allows: nothing wraps around."""
    n = 4
    largest = (2**31 // n - 1) * 2**32 // 2
    distances = np.full((n, n), largest, np.int64)
    np.fill_diagonal(distances, 0)
    distances[3, :3] = distances[:3, 3] = largest * 2
    assert without_outliers(distances, list(range(n)), 1) in ([0, 1, 2], [0, 1, 2, 3])
    wide = distances.copy()
    wide[3, :3] = wide[:3, 3] = largest * 2
    wide[:3, :3] //= 1000
    assert without_outliers(wide, list(range(n)), 1) == [0, 1, 2]


def test_no_guarantee_where_half_could_lie() -> None:
    assert robust_notes(18, 9) == ("robust: n=18 ≤ 2f=18, no guarantee",)
    assert robust_notes(19, 9) == ()
