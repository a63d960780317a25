"""Work that frees the GIL, such as checking signatures, spread over the cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

count = len(os.sched_getaffinity(0))
"""Cores that this process may use."""
WORTH_A_THREAD = 4
"""Calls that are worth waking one."""


def call_each(call: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> None:
    """Call once with each of these; many calls on all cores, and in whatever order."""
    threads = max(1, min(count, len(arguments) // WORTH_A_THREAD))
    parts = [arguments[start::threads] for start in range(threads)]
    running = [_pool().submit(_call, call, part) for part in parts[1:]]
    _call(call, parts[0])
    for each in running:
        each.result()


def _call(call: Callable[..., object], arguments: Sequence[tuple[Any, ...]]) -> None:
    for each in arguments:
        call(*each)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="signatures")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
