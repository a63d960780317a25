"""Hashing a file's chunks while they are copied to disk, on all cores and in bounded memory.

`hashlib` and the file calls release the interpreter's lock, so threads do run at once.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.errors import StorageError

WORKERS = min(4, os.cpu_count() or 1)
"""Threads that hash and copy."""
RUN_BYTES = 1 << 20
"""Bytes that one thread takes at a time, at least one chunk."""

WRITEBACK_BYTES = 4 << 20
"""Bytes of a file that are sent to the disk at a time."""

_sync_file_range = ctypes.CDLL(None).sync_file_range  # starts the writing, and waits for nothing
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_SYNC_FILE_RANGE_WRITE = 2

Buffer = bytes | bytearray | memoryview
Read = Callable[[int, int], Buffer]
"""Gives the bytes of a source at an offset and of a length."""

T = TypeVar("T")
R = TypeVar("R")


def copy_chunks(
    read: Read, size: int, chunk_size: int, target: int, pool: ThreadPoolExecutor
) -> list[Cid]:
    """Copy `size` bytes to the file descriptor `target`; return the CID of every chunk.

    Raises `StorageError` where the source is shorter, and `OSError`.
    """
    step = max(1, RUN_BYTES // chunk_size) * chunk_size

    def copy(start: int) -> list[Cid]:
        length = min(step, size - start)
        view = memoryview(read(start, length))
        if len(view) != length:
            raise StorageError("the file grew shorter while it was read; share it again")
        write_at(target, view, start)
        return [
            Cid.of(RAW, view[at : at + chunk_size]) for at in range(0, max(length, 1), chunk_size)
        ]

    starts = iter(range(0, max(size, 1), step))
    return [cid for cids in map_ahead(pool, copy, starts) for cid in cids]


def write_at(target: int, data: Buffer, offset: int) -> None:
    """Write all of `data` at an offset of a file descriptor; raises `OSError`.

    The disk is put to work at every `WRITEBACK_BYTES`, so that little is left for `fsync`.
    """
    view = memoryview(data)
    at = offset
    while view:
        written = os.pwrite(target, view, at)
        view, at = view[written:], at + written
    passed = at // WRITEBACK_BYTES * WRITEBACK_BYTES
    if passed > offset:
        _sync_file_range(target, passed - WRITEBACK_BYTES, WRITEBACK_BYTES, _SYNC_FILE_RANGE_WRITE)


def map_ahead(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterator[T]) -> Iterator[R]:
    """Results in the items' order, a bounded number under way; an error waits for those to end."""
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > 2 * WORKERS:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            if not future.cancel():
                future.exception()
