from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bift_ros.experiments.federation import (
    Federation,
    LocalModel,
    Settings,
    average_fixed_point,
    average_float32,
)
from bift_ros.experiments.run_files import RunError
from bift_ros.experiments.runs import ARMS, run
from bift_ros.learning.data import Crops, load_training_crops
from bift_ros.pofl.codec import UPDATE_EXPONENT, decode_model


def test_the_two_averages_differ_by_rounding_alone(federation: Federation) -> None:
    start = decode_model(federation.start)
    local = federation.train(start, 0)
    float32 = average_float32(local)
    fixed = decode_model(average_fixed_point(federation.start, local, 0))
    assert np.abs(float32 - start).max() > 1e-3  # it did train
    # Half a step of the updates' scale, and of the model's; float32 adds next to nothing.
    assert np.abs(float32 - fixed).max() <= 0.52 * 2.0**-UPDATE_EXPONENT


def test_both_averages_weigh_by_sample_count(federation: Federation) -> None:
    start = decode_model(federation.start)
    local = [LocalModel(start + np.float32(0.5), 3), LocalModel(start - np.float32(0.5), 1)]
    fixed = decode_model(average_fixed_point(federation.start, local, 0))
    np.testing.assert_allclose(average_float32(local), start + 0.25, atol=1e-6)
    np.testing.assert_allclose(fixed, start + 0.25, atol=2.0**-UPDATE_EXPONENT)


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_goes_on_as_if_it_had_never_stopped(
    federation: Federation, arm: str, tmp_path: Path
) -> None:
    whole = run(federation, arm, 3, tmp_path / "whole")
    begun = run(federation, arm, 1, tmp_path / "parts")
    parts = run(federation, arm, 3, tmp_path / "parts")
    assert parts.accuracy == whole.accuracy
    assert parts.paired == whole.paired
    assert (parts.model == whole.model).all()
    assert len(whole.accuracy) == 3
    assert len(whole.paired) == (3 if arm == "fixed_point" else 0)
    assert begun.accuracy == whole.accuracy[:1]
    assert (begun.model != whole.model).any()  # it did go on
    # Asked for fewer iterations than there are, it gives the first ones and trains nothing.
    lines: list[str] = []
    assert run(federation, arm, 2, tmp_path / "parts", lines.append).accuracy == whole.accuracy[:2]
    assert lines == []


def test_arms_start_alike_and_the_control_one_step_off(
    federation: Federation, tmp_path: Path
) -> None:
    fixed, float32, control = (run(federation, arm, 0, tmp_path).model for arm in ARMS)
    start = decode_model(federation.start)
    assert (fixed == federation.start).all()
    assert (float32 == start).all()
    assert (control == np.nextafter(start, np.float32(np.inf))).all()


def test_a_kept_run_with_other_settings_or_crops_is_refused(
    federation: Federation, data: Path, tmp_path: Path
) -> None:
    run(federation, "float32", 1, tmp_path)
    train, test = (load_training_crops(data / name) for name in ("train", "test"))
    other = dataclasses.replace(federation.settings, learning_rate=0.01)
    with pytest.raises(RunError, match="name another --runs"):
        run(Federation(train, test, other), "float32", 1, tmp_path)
    fewer = Crops(test.images[1:], test.labels[1:])
    with pytest.raises(RunError, match="name another --runs"):
        run(Federation(train, fewer, Settings(1, 3, 12, 1, 0.001)), "float32", 1, tmp_path)


def test_a_damaged_run_is_named(federation: Federation, tmp_path: Path) -> None:
    run(federation, "float32", 1, tmp_path)
    path = tmp_path / "seed1-float32.npz"
    for damaged in (path.read_bytes()[:200], b"", b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"seed1-float32\.npz is damaged .* remove it"):
            run(federation, "float32", 1, tmp_path)
