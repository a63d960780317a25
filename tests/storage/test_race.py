"""Several ways to one end: when the next one starts, and what is left of those that lose."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.race import Race

Move = Callable[[], None]


def win(move: Move) -> None:
    move()


def lose(move: Move) -> None:
    raise NotFound("not here")


def test_the_first_to_succeed_wins_though_others_go_on() -> None:
    race, end = Race(), threading.Event()
    race.start(lambda move: end.wait(60) and None)
    race.start(win)
    assert race.won()
    assert race.errors == []
    end.set()


def test_a_way_that_succeeds_at_once_needs_no_other() -> None:
    race = Race()
    race.start(win)
    assert race.goes_well(60.0, 60.0)


def test_one_that_failed_is_not_waited_for_and_its_error_is_kept() -> None:
    race = Race()
    race.start(lose)
    assert not race.goes_well(60.0, 60.0)
    race.start(win)
    assert race.won()
    assert [str(error) for error in race.errors] == ["not here"]


def test_all_may_fail() -> None:
    race = Race()
    race.start(lose)
    race.start(lose)
    assert not race.won()
    assert len(race.errors) == 2


def test_one_that_makes_no_headway_has_stalled() -> None:
    race, end = Race(), threading.Event()
    race.start(lambda move: end.wait(60) and None)
    assert not race.goes_well(0.01, 60.0)
    end.set()
    assert race.won()


def test_after_headway_the_other_patience_counts() -> None:
    race, go, end = Race(), threading.Event(), threading.Event()

    def crawl(move: Move) -> None:
        move()
        go.set()
        end.wait(60)

    race.start(crawl)
    assert go.wait(60)
    assert not race.goes_well(3600.0, 0.01)
    end.set()


def test_what_nobody_foresaw_is_an_error_like_others() -> None:
    race = Race()

    def break_down(move: Move) -> None:
        raise ValueError("odd")

    race.start(break_down)
    assert not race.won()
    assert isinstance(race.errors[0], StorageError)
    assert "odd" in str(race.errors[0])
