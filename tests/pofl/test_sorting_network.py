"""bift_ros.pofl.sorting_network: the 0-1 principle, exhaustively, and pruning's promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bift_ros.pofl.sorting_network import Step, network, order_columns, trimming_network


def run(values: np.ndarray, steps: tuple[Step, ...]) -> np.ndarray:
    sources = values.copy()
    sources.flags.writeable = False
    buffers = np.empty((len(values) + 1, values.shape[1]), np.int16)
    return np.array(order_columns(steps, list(sources), buffers))


@pytest.mark.parametrize("n", range(1, 15))
def test_it_sorts_every_zero_one_column(n: int) -> None:
    """Knuth's 0-1 principle: a network that sorts all zeros and ones sorts everything."""
    columns = (np.arange(2**n) >> np.arange(n)[:, None] & 1).astype(np.int16)
    np.testing.assert_array_equal(run(columns, network(n)), np.sort(columns, axis=0))


@pytest.mark.parametrize("n", range(1, 13))
def test_trimming_is_right_for_every_zero_one_column(n: int) -> None:
    columns = (np.arange(2**n) >> np.arange(n)[:, None] & 1).astype(np.int16)
    ordered = np.sort(columns, axis=0)
    for trim in range((n - 1) // 2 + 1):
        kept = run(columns, trimming_network(n, trim))[trim : n - trim]
        np.testing.assert_array_equal(np.sort(kept, axis=0), ordered[trim : n - trim])


@given(st.data(), st.integers(1, 40))
def test_a_pruned_network_keeps_what_trimming_keeps(data: st.DataObject, n: int) -> None:
    trim = data.draw(st.integers(0, (n - 1) // 2))
    columns = data.draw(hnp.arrays(np.int16, (n, 5)))
    kept = run(columns, trimming_network(n, trim))[trim : n - trim]
    expected = np.sort(columns, axis=0)[trim : n - trim]
    np.testing.assert_array_equal(np.sort(kept, axis=0), expected)


def test_pruning_saves_work() -> None:
    full = 2 * len(network(30))
    pruned = sum(step.smaller + step.larger for step in trimming_network(30, 6))
    assert pruned < 0.7 * full
