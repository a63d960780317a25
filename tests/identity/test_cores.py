"""Calls spread over the cores: each is made once, and what one raises comes out."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from bift_ros.identity import cores


@pytest.fixture(params=[1, 2, 5])
def core_count(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(cores, "count", request.param)
    cores._pool.cache_clear()
    yield request.param
    cores._pool.cache_clear()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 31, 100])
def test_each_call_is_made_once(core_count: int, count: int) -> None:
    made: list[tuple[int, int]] = []
    cores.call_each(lambda a, b: made.append((a, b)), [(i, -i) for i in range(count)])
    assert Counter(made) == Counter((i, -i) for i in range(count))


def test_many_calls_run_at_the_same_time(core_count: int) -> None:
    """Which the barrier shows: it lets nobody through before all have come."""
    barrier = threading.Barrier(core_count, timeout=60)
    cores.call_each(barrier.wait, [()] * (cores.WORTH_A_THREAD * core_count))


def test_few_calls_wake_no_thread(core_count: int) -> None:
    threads: set[int] = set()
    cores.call_each(
        lambda: threads.add(threading.get_ident()), [()] * (2 * cores.WORTH_A_THREAD - 1)
    )
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("number", [0, 1, 30])
def test_what_a_call_raises_comes_out(core_count: int, number: int) -> None:
    def call(given: int) -> None:
        if given == number:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cores.call_each(call, [(i,) for i in range(31)])


def _in_a_child() -> None:
    cores.call_each(lambda: None, [()] * 100)


def test_a_forked_process_has_threads_of_its_own() -> None:
    cores.call_each(lambda: None, [()] * 100)
    child = multiprocessing.get_context("fork").Process(target=_in_a_child)
    child.start()
    child.join(60)
    hung = child.exitcode is None
    child.kill()
    assert not hung
