"""A flood of refusals must not become a flood of log lines."""

from __future__ import annotations

from bift_ros.limits.limited_log import BURST, MAX_CHARACTERS, SECONDS_A_LINE, LimitedLog


def test_a_burst_is_logged_and_the_rest_is_counted() -> None:
    lines: list[str] = []
    now = 0.0
    log = LimitedLog(lines.append, lambda: now)
    for number in range(BURST + 500):
        log(f"refused {number}")
    assert lines == [f"refused {number}" for number in range(BURST)]
    now += SECONDS_A_LINE
    log("refused again")
    assert lines[BURST:] == ["refused again (500 more like it were not logged)"]
    log("and again")
    assert len(lines) == BURST + 1


def test_a_log_at_rest_has_its_burst_again() -> None:
    lines: list[str] = []
    now = 0.0
    log = LimitedLog(lines.append, lambda: now)
    for _ in range(2 * BURST):
        log("x")
    now += 100 * BURST * SECONDS_A_LINE
    for _ in range(2 * BURST):
        log("x")
    assert len(lines) == 2 * BURST


def test_a_line_has_an_end() -> None:
    lines: list[str] = []
    LimitedLog(lines.append)("x" * 10**6)
    assert lines == ["x" * MAX_CHARACTERS]


def test_an_hour_of_flood_is_a_few_kilobytes() -> None:
    lines: list[str] = []
    now = 0.0
    log = LimitedLog(lines.append, lambda: now)
    for _ in range(36_000):
        now += 0.1
        log("x" * 10_000)
    assert sum(map(len, lines)) < 200 * 3600 / 4  # of the kilobyte a second that is too much
