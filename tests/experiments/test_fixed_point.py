from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bift_ros.console.errors import CommandError
from bift_ros.console.fedavg_experiments import main
from bift_ros.experiments.fixed_point import Outcome, as_text, summarize
from bift_ros.learning.data import load_training_crops

Options = Callable[..., argparse.Namespace]


def test_the_report_has_every_seed_and_repeats(
    options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [("--runs", str(tmp_path / name)) for name in ("a", "b")]
    codes = [main(options("fixed-point", "--json", "--seeds", "2", *where)) for where in words]
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert first["test_crops"] == 40
    assert [row["seed"] for row in first["seeds"]] == [1, 2]
    for row in first["seeds"]:
        for name, minuend, subtrahend in (
            ("differences", "fixed_point", "float32"),
            ("control_differences", "control", "float32"),
            ("paired_differences", "fixed_point", "paired"),
        ):
            pairs = zip(row[minuend], row[subtrahend], strict=True)
            assert row[name] == pytest.approx([a - b for a, b in pairs])
            assert len(row[name]) == 2
    assert codes == [0 if first["within_tolerance"] else 1] * 2


def outcome(seed: int, fixed: float, control: float, paired: float) -> Outcome:
    return Outcome(seed, (50.3, fixed), (50.0, 90.0), (50.0, control), (50.4, paired))


def test_one_seed_over_the_tolerance_is_enough_to_fail() -> None:
    report = summarize([outcome(1, 90.3, 89.5, 90.25), outcome(2, 89.9, 90.2, 90.0)])
    spread = report["free_running"]
    assert spread["mean"] == pytest.approx(0.1)  # of the ends alone, as the largest
    assert spread["largest"] == pytest.approx(0.3)
    assert spread["standard_error"] == pytest.approx(0.2)
    assert spread["rms"] == pytest.approx(((3 * 0.3**2 + 0.1**2) / 4) ** 0.5)
    assert report["control"]["mean"] == pytest.approx(-0.15)
    assert report["control"]["largest_ever"] == pytest.approx(0.5)
    assert report["paired"]["mean"] == pytest.approx(-0.025)
    assert not report["within_tolerance"]
    assert not report["control"]["all_within"]
    assert report["paired"]["all_within"]
    text = as_text(report)
    assert "fixed point is NOT within 0.2 points of float32; the control is NOT within" in text
    assert "| 1 | 90.00 % | 90.30 % | +0.30 | -0.50 | +0.050 |" in text


def test_the_tolerance_itself_is_within_it_and_only_ends_count() -> None:
    report = summarize([outcome(1, 90.2, 90.0, 90.2)])
    assert report["free_running"]["largest_ever"] == pytest.approx(0.3)
    assert report["within_tolerance"]
    assert report["free_running"]["standard_error"] is None
    assert "| unknown |" in as_text(report)


def test_too_few_crops_are_named(options: Options) -> None:
    with pytest.raises(CommandError, match="need 1800 training crops, there are 40: lower --crops"):
        main(options("fixed-point", "--crops", "600"))


def test_runs_with_other_settings_are_kept_side_by_side(options: Options, tmp_path: Path) -> None:
    for rate in ("0.001", "0.01"):
        main(options("fixed-point", "--seeds", "1", "--iterations", "1", "--learning-rate", rate))
    assert len(list((tmp_path / "runs").iterdir())) == 6


def test_missing_data_is_synthesized(
    options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["--vehicles", "1", "--crops", "10", "--test-crops", "10", "--iterations", "1"]
    code = main(options("fixed-point", "--data", str(tmp_path / "new"), *one, "--seeds", "1"))
    assert code in (0, 1)
    assert len(load_training_crops(tmp_path / "new" / "train")) == 10
    assert "At the end of every seed, fixed point is" in capsys.readouterr().out
