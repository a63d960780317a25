from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import pytest

from bift_ros.console.fedavg_experiments import main
from bift_ros.experiments.dataset_difficulty import as_text, summarize


def test_it_is_the_float32_arm_of_the_first_seed(
    options: Callable[..., argparse.Namespace], capsys: pytest.CaptureFixture[str]
) -> None:
    main(options("fixed-point", "--seeds", "1", "--json"))
    assert main(options("dataset-difficulty", "--json")) == 1  # two iterations are no curve
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert second["accuracy"] == first["seeds"][0]["float32"]
    assert second["rise"] is None
    assert not second["flat"]


@pytest.mark.parametrize(
    ("end", "inside"), [(89.9, False), (90.0, True), (97.0, True), (97.1, False)]
)
def test_the_end_is_compared_with_the_bounds(end: float, inside: bool) -> None:
    report = summarize([50.0, 80.0, *[end] * 10])
    assert report["flat"]
    assert report["within_bounds"] is inside
    assert ("NOT inside 90 to 97 %" in as_text(report)) is not inside


def test_a_rising_curve_has_not_ended() -> None:
    report = summarize([90.0] * 5 + [90.5] * 5)
    assert report["rise"] == pytest.approx(0.5)
    assert not report["flat"]
    assert "NOT flat" in as_text(report)
    assert summarize([90.0] * 5 + [90.2] * 5)["flat"]
