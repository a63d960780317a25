"""Several attempts at one end: when the next one starts, and what is left of those that fail."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.kubo.fallback import Fallback

Progress = Callable[[], None]


def succeed(progress: Progress) -> None:
    progress()


def fail(progress: Progress) -> None:
    raise NotFound("not here")


def test_one_success_is_enough_though_others_go_on() -> None:
    fallback, end = Fallback(), threading.Event()
    fallback.start(lambda progress: end.wait(60) and None)
    fallback.start(succeed)
    assert fallback.succeeds()
    assert fallback.errors == []
    end.set()


def test_an_attempt_that_succeeds_at_once_needs_no_other() -> None:
    fallback = Fallback()
    fallback.start(succeed)
    assert fallback.succeeds_unaided(60.0, 60.0)


def test_one_that_failed_is_not_waited_for_and_its_error_is_kept() -> None:
    fallback = Fallback()
    fallback.start(fail)
    assert not fallback.succeeds_unaided(60.0, 60.0)
    fallback.start(succeed)
    assert fallback.succeeds()
    assert [str(error) for error in fallback.errors] == ["not here"]


def test_all_may_fail() -> None:
    fallback = Fallback()
    fallback.start(fail)
    fallback.start(fail)
    assert not fallback.succeeds()
    assert len(fallback.errors) == 2


def test_one_that_makes_no_progress_has_stalled() -> None:
    fallback, end = Fallback(), threading.Event()
    fallback.start(lambda progress: end.wait(60) and None)
    assert not fallback.succeeds_unaided(0.01, 60.0)
    end.set()
    assert fallback.succeeds()


def test_after_progress_the_other_patience_counts() -> None:
    fallback, go, end = Fallback(), threading.Event(), threading.Event()

    def crawl(progress: Progress) -> None:
        progress()
        go.set()
        end.wait(60)

    fallback.start(crawl)
    assert go.wait(60)
    assert not fallback.succeeds_unaided(3600.0, 0.01)
    end.set()


def test_what_nobody_foresaw_is_an_error_like_others() -> None:
    fallback = Fallback()

    def break_down(progress: Progress) -> None:
        raise ValueError("odd")

    fallback.start(break_down)
    assert not fallback.succeeds()
    assert isinstance(fallback.errors[0], StorageError)
    assert "odd" in str(fallback.errors[0])
