from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bift_ros.experiments.fixed_point import (
    Federation,
    Outcome,
    add_arguments,
    main,
    summarize,
)
from bift_ros.learning.data import load_training_crops
from bift_ros.pofl.codec import UPDATE_EXPONENT, decode_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty noisy crops of two classes, twice."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for channel, name in ((2, "red_circle"), (1, "green_circle")):
            (folder / split / name).mkdir(parents=True)
            for index in range(20):
                image = rng.integers(0, 120, (32, 32, 3), np.uint8)
                image[8:24, 8:24, channel] += 130
                assert cv2.imwrite(str(folder / split / name / f"{index}.png"), image)
    return folder


def options(data: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    small = ["--vehicles", "3", "--crops", "12", "--iterations", "2", "--seeds", "2"]
    return parser.parse_args(["--data", str(data), *small, *more])


def test_one_iteration_differs_from_float32_by_rounding_alone(data: Path) -> None:
    torch.set_num_threads(1)
    train, test = (load_training_crops(data / name) for name in ("train", "test"))
    federation = Federation(train, test, options(data, "--iterations", "1"), seed=1)
    start = decode_model(federation.start)
    float32, fixed = federation.run_float32(start), federation.run_fixed_point()
    assert np.abs(float32 - start).max() > 1e-3  # it did train
    # Half a step of the updates' scale, and of the model's; float32 adds next to nothing.
    assert np.abs(float32 - fixed).max() <= 0.52 * 2.0**-UPDATE_EXPONENT


def test_the_report_has_every_seed_and_repeats(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [main(options(data, "--json")) for _ in range(2)]
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert first["test_crops"] == 40
    assert [row["seed"] for row in first["seeds"]] == [1, 2]
    for row in first["seeds"]:
        assert row["difference"] == pytest.approx(row["fixed_point"] - row["float32"])
    assert codes == [0 if first["within_tolerance"] else 1] * 2


def test_a_difference_over_the_tolerance_is_reported_as_such() -> None:
    report = summarize([Outcome(1, 90.0, 89.9, 90.0), Outcome(2, 91.0, 90.5, 91.1)])
    assert report["mean_difference"] == pytest.approx(-0.3)
    assert report["standard_error"] == pytest.approx(0.2)
    assert not report["within_tolerance"]
    assert summarize([Outcome(1, 90.0, 89.9, 90.0)])["standard_error"] is None


def test_too_few_crops_are_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options(data, "--crops", "600")) == 2
    assert "holds 40 crops, 3 vehicles need 1800" in capsys.readouterr().err


def test_missing_data_is_synthesized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    one = ["--vehicles", "1", "--crops", "10", "--test-crops", "10", "--iterations", "1"]
    code = main(parser.parse_args(["--data", str(tmp_path / "new"), *one, "--seeds", "1"]))
    assert code in (0, 1)
    assert len(load_training_crops(tmp_path / "new" / "train")) == 10
    assert "over 1 seeds" in capsys.readouterr().out
