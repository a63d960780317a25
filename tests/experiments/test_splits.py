"""How crops are dealt: equally many each, none twice, skewed as alpha says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.experiments.splits import SplitError, split

ALPHAS = st.none() | st.floats(0.01, 100)


@settings(max_examples=60)
@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=300),
    vehicles=st.integers(1, 30),
    share=st.floats(0.01, 1),
    alpha=ALPHAS,
    seed=st.integers(0, 2**20),
)
def test_every_vehicle_gets_equally_many_and_no_crop_goes_twice(
    labels: list[int], vehicles: int, share: float, alpha: float | None, seed: int
) -> None:
    vehicles = min(vehicles, len(labels))
    crops = max(1, int(share * len(labels) / vehicles))
    parts = split(np.array(labels), vehicles, crops, alpha, seed)
    assert [len(part) for part in parts] == [crops] * vehicles
    dealt = np.concatenate(parts)
    assert len(set(dealt.tolist())) == vehicles * crops
    assert set(dealt.tolist()) <= set(range(len(labels)))
    again = split(np.array(labels), vehicles, crops, alpha, seed)
    assert all((one == other).all() for one, other in zip(parts, again, strict=True))


@pytest.mark.parametrize("alpha", [None, 0.1])
def test_seeds_deal_differently(alpha: float | None) -> None:
    labels = np.arange(1000) % 10
    first, second = (split(labels, 10, 50, alpha, seed)[0] for seed in (1, 2))
    assert set(first.tolist()) != set(second.tolist())


def test_the_smaller_alpha_the_larger_a_vehicles_largest_class() -> None:
    labels = np.arange(30_000) % 10

    def largest(alpha: float | None) -> float:
        """The share of a vehicle's most frequent class, over 30 vehicles and 5 seeds."""
        parts = [part for seed in range(5) for part in split(labels, 30, 100, alpha, seed)]
        return float(np.mean([np.bincount(labels[part]).max() / 100 for part in parts]))

    shares = [largest(alpha) for alpha in (0.1, 0.5, 1.0, 100.0, None)]
    assert shares[:4] == sorted(shares[:4], reverse=True)
    # The largest of ten Dirichlet(0.1) probabilities is 0.67 on average, of Dirichlet(1) 0.29.
    assert shares[0] == pytest.approx(0.67, abs=0.06)
    assert shares[2] == pytest.approx(0.30, abs=0.04)
    assert shares[3] == pytest.approx(shares[4], abs=0.03)


def test_all_crops_can_be_dealt_however_skewed() -> None:
    labels = np.arange(600) % 10
    parts = split(labels, 30, 20, 0.05, 3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))


def test_too_few_crops_and_a_bad_alpha_are_named() -> None:
    labels = np.zeros(99, np.int64)
    with pytest.raises(SplitError, match=r"need 100 training crops, there are 99: lower --crops"):
        split(labels, 10, 10, None, 1)
    for alpha in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(SplitError, match="alpha"):
            split(labels, 2, 10, alpha, 1)
