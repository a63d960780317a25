"""Exact squared Euclidean distances between updates, by way of BLAS.

``|a − b|² = a·a + b·b − 2 a·b``, so all distances come from the Gram matrix, which is one matrix
product. It is computed in float64, yet exactly:

- int16 times int16 is at most 2**30 in size.
- A block has at most 2**22 columns, so every partial sum in it, in whatever order BLAS forms it
  and fused or not, is an integer of at most 2**52: float64 holds it exactly.
- Blocks are added in int64. With n·d < 2**31 (checked by `aggregate`) distances (≤ d·2**32) and
  sums of n of them stay under 2**63.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from bift_ros.pofl.codec import Int16Array
from bift_ros.pofl.columns import Blocking

MAX_BLOCK_COLUMNS = 2**22

_KERNEL_ROWS = 8  # BLAS kernels work on tiles; whole tiles are faster than ragged ones


def squared_distances(
    rows: Sequence[Int16Array], blocking: Blocking | None = None
) -> npt.NDArray[np.int64]:
    """Squared distances, int64[n, n], between n updates int16[d], in squared update steps."""
    return distances_of(gram_matrix(rows, blocking or Blocking()))


def distances_of(gram: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Squared distances int64[n, n] from inner products int64[n, n]."""
    norms = np.diagonal(gram)
    return norms[:, None] + norms[None, :] - 2 * gram


def gram_matrix(rows: Sequence[Int16Array], blocking: Blocking) -> npt.NDArray[np.int64]:
    """All inner products of n updates int16[d], exact: int64[n, n]."""
    n, size = len(rows), rows[0].size
    padded = -(-n // _KERNEL_ROWS) * _KERNEL_ROWS
    # A quarter of the scratch: BLAS reads each value many times, so they must stay close by.
    columns = min(blocking.columns(size, 4 * 8 * padded), MAX_BLOCK_COLUMNS)

    def partial(blocks: Iterator[slice]) -> npt.NDArray[np.int64]:
        gram = np.zeros((padded, padded), np.int64)
        scratch = np.zeros((padded, columns))
        for block in blocks:
            wide = scratch[:, : block.stop - block.start]
            for target, row in zip(wide, rows, strict=False):  # the padding stays zero
                target[...] = row[block]
            gram += (wide @ wide.T).astype(np.int64)
        return gram

    # Our threads share the columns already: BLAS's own would only get in their way.
    with _thread_pools().limit(limits=1, user_api="blas"):
        parts = blocking.map(size, columns, partial)
    return sum(parts, np.zeros((padded, padded), np.int64))[:n, :n]


@lru_cache(maxsize=1)
def _thread_pools() -> ThreadpoolController:
    """The process's BLAS libraries; looking for them takes milliseconds."""
    return ThreadpoolController()
