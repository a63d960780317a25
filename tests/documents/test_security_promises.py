"""docs/security.md: every test that it names is there, and every bound has the value it states."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from bift_ros.limits.limited_log import BURST, MAX_CHARACTERS, SECONDS_A_LINE
from bift_ros.limits.token_bucket import Rate
from bift_ros.storage.shares import Rates

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "security.md").read_text()
BOUNDS = re.findall(r"^\| `(bift_ros\.[\w.]+)` \| ([^|]+) \|", PAGE, re.MULTILINE)


def shown(value: Any) -> str:
    match value:
        case Rate():
            return f"{value.burst:,} at once and {value.a_second:,} a second"
        case Rates():
            return f"{value.requests:,g} requests and {value.bytes:,d} bytes a second"
        case tuple():
            return "; ".join(map(shown, value))
        case float():
            return f"{value:g}"
        case _:
            return f"{value:,d}"


def test_every_promise_names_tests_that_exist() -> None:
    promises = PAGE.partition("which test says so\n")[2].partition("\n## ")[0]
    rows = [row for row in promises.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        tests = re.findall(r"`(tests/[^`]+)`", row)
        assert tests, row
        for test in tests:
            assert re.search(r"^(async )?def test_", (REPOSITORY / test).read_text(), re.M), test


def test_bounds_are_listed() -> None:
    assert len(BOUNDS) > 20
    assert len(dict(BOUNDS)) == len(BOUNDS)


@pytest.mark.parametrize(("name", "value"), BOUNDS)
def test_every_bound_has_its_value(name: str, value: str) -> None:
    module, _, constant = name.rpartition(".")
    if ".nodes.vehicle." in module:
        pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    assert shown(getattr(importlib.import_module(module), constant)) == value


def test_what_follows_from_bounds_is_stated() -> None:
    assert f"| {BURST} | log lines about refusals at once, of {MAX_CHARACTERS} characters" in PAGE
    assert f"{MAX_CHARACTERS / SECONDS_A_LINE:g} bytes a second" in PAGE
