"""bift_ros.pofl.columns: every column once, and threads only where they pay."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bift_ros.pofl.columns import Blocking


@given(st.integers(1, 500), st.integers(1, 5), st.integers(1, 600), st.integers(1, 900))
def test_blocks_cover_every_column_once(
    size: int, threads: int, stripe_columns: int, scratch_bytes: int
) -> None:
    blocking = Blocking(threads, scratch_bytes, stripe_columns)
    columns = blocking.columns(size, 3)
    stripes = blocking.map(size, columns, list)
    assert len(stripes) <= max(1, min(threads, size // stripe_columns))
    blocks = [block for stripe in stripes for block in stripe]
    assert [i for block in blocks for i in range(size)[block]] == list(range(size))
    assert all(block.stop - block.start <= columns for block in blocks)


def test_small_work_stays_in_the_calling_thread() -> None:
    def worker(blocks: Iterator[slice]) -> int:
        return threading.get_ident()

    blocking = Blocking(threads=2, stripe_columns=100)
    here = threading.get_ident()
    assert blocking.map(199, 10, worker) == [here]
    elsewhere = blocking.map(200, 10, worker)
    assert len(elsewhere) == 2
    assert here not in elsewhere
