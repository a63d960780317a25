"""What a token bucket gives, and what it has one wait for."""

from __future__ import annotations

import pytest

from bift_ros.limits.token_bucket import Bucket, Rate


def test_it_gives_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(Rate(3, 2))
    given = 0
    while bucket.holds(1, 10.0):
        bucket.take(1)
        given += 1
    assert given == 3
    assert not bucket.holds(1, 10.4)
    assert bucket.holds(1, 10.5)
    assert not bucket.holds(3.1, 99.0)
    assert bucket.is_full(99.0)


def test_what_is_taken_beyond_it_is_owed() -> None:
    bucket = Bucket(Rate(3, 2))
    assert bucket.holds(0, 5.0)
    bucket.take(7)
    assert bucket.seconds_owed == pytest.approx(2.0)
    assert not bucket.holds(1, 6.0)
    assert bucket.seconds_owed == pytest.approx(1.0)
    assert not bucket.is_full(8.0)
    assert bucket.is_full(8.5)
    assert bucket.seconds_owed == 0.0


def test_what_is_given_back_makes_it_no_larger() -> None:
    bucket = Bucket(Rate(1, 0.1))
    bucket.take(1)
    bucket.give_back()
    bucket.give_back()
    assert bucket.holds(1, 0.0)
    assert not bucket.holds(1.5, 0.0)
