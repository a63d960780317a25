"""The arms of `bift experiment fixed-point`: what vehicles compute, and FedAvg in floats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bift_ros.experiments import kept_runs
from bift_ros.experiments.campaign import run_all
from bift_ros.experiments.datasets import Dataset
from bift_ros.experiments.federation import (
    Arithmetic,
    Federation,
    Settings,
    State,
    floats,
)
from bift_ros.experiments.kept_runs import RunError
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE
from bift_ros.learning.models import build_model
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.codec import MODEL_EXPONENT, UPDATE_EXPONENT

ARMS: tuple[Arithmetic, ...] = ("paired", "fixed_point", "float32", "control")
CPU = torch.device("cpu")


def federation(settings: Settings, crops: Dataset) -> Federation:
    model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), settings.seed)
    return Federation(settings, crops, model, CPU)


def run(
    settings: Settings,
    crops: Dataset,
    iterations: int,
    folder: Path,
    news: list[bool] | None = None,
) -> State:
    def report(_: Settings, __: State, new: bool) -> None:
        if news is not None:
            news.append(new)

    return run_all([settings], iterations, crops, folder, CPU, report)[settings]


def test_the_two_averages_differ_by_rounding_alone(fedavg: Settings, crops: Dataset) -> None:
    fixed = federation(fedavg, crops)
    float32 = federation(replace(fedavg, arithmetic="float32"), crops)
    start = floats(fixed.begin().model)
    rng = np.random.default_rng(0)
    local = start + rng.normal(0, 0.01, (3, start.size)).astype(np.float32)
    mean = floats(float32.step(float32.begin(), local).model)
    assert np.abs(mean - start).max() > 1e-3
    np.testing.assert_allclose(mean, local.astype(np.float64).mean(axis=0), atol=1e-6)
    # Half a step of the updates' scale, and of the model's; float32 adds next to nothing.
    rounded = floats(fixed.step(fixed.begin(), local).model)
    assert np.abs(mean - rounded).max() <= 0.52 * 2.0**-UPDATE_EXPONENT


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_goes_on_as_if_it_had_never_stopped(
    arm: Arithmetic, fedavg: Settings, crops: Dataset, tmp_path: Path
) -> None:
    settings = replace(fedavg, arithmetic=arm)
    whole = run(settings, crops, 3, tmp_path / "whole")
    begun = run(settings, crops, 1, tmp_path / "parts")
    parts = run(settings, crops, 3, tmp_path / "parts")
    assert parts.accuracy == whole.accuracy
    assert parts.paired == whole.paired
    assert (parts.model == whole.model).all()
    assert len(whole.accuracy) == 3
    assert len(whole.paired) == (3 if arm == "paired" else 0)
    assert begun.accuracy == whole.accuracy[:1]
    assert (begun.model != whole.model).any()  # it did go on
    # Asked for fewer iterations than there are, it trains nothing.
    news: list[bool] = []
    assert run(settings, crops, 2, tmp_path / "parts", news).accuracy == whole.accuracy
    assert news == [False]


def test_measuring_pairs_changes_nothing(fedavg: Settings, crops: Dataset, tmp_path: Path) -> None:
    plain = run(fedavg, crops, 2, tmp_path)
    paired = run(replace(fedavg, arithmetic="paired"), crops, 2, tmp_path)
    assert (plain.model == paired.model).all()
    assert plain.accuracy == paired.accuracy
    assert len(paired.paired) == 2


def test_a_pair_is_of_the_same_local_models(fedavg: Settings, crops: Dataset) -> None:
    vehicles = federation(replace(fedavg, arithmetic="paired"), crops)
    start = vehicles.begin()
    local = floats(start.model) + np.linspace(-0.02, 0.02, 3, dtype=np.float32)[:, None]
    after = vehicles.step(start, local)
    single = federation(replace(fedavg, arithmetic="float32"), crops)
    assert after.paired == single.step(single.begin(), local).accuracy


def test_arms_start_alike_and_the_control_one_step_off(fedavg: Settings, crops: Dataset) -> None:
    fixed, also_fixed, float32, control = (
        federation(replace(fedavg, arithmetic=arm), crops).begin().model
        for arm in ("fixed_point", "paired", "float32", "control")
    )
    start = floats(fixed)
    assert fixed.dtype == np.int32
    assert (start * 2.0**MODEL_EXPONENT == fixed).all()
    assert (fixed == also_fixed).all()
    assert (float32 == start).all()
    assert (control == np.nextafter(start, np.float32(np.inf))).all()


def test_a_vehicle_that_diverged_is_in_no_average(fedavg: Settings, crops: Dataset) -> None:
    vehicles = federation(replace(fedavg, arithmetic="float32"), crops)
    start = vehicles.begin()
    local = np.stack([floats(start.model)] * 3) + np.float32(0.5)
    local[1, 3] = np.nan
    after = vehicles.step(start, local)
    assert (after.model == local[::2].mean(axis=0)).all()
    assert after.sent == after.contributed == ((True, False, True),)
    nobody = vehicles.step(start, np.full_like(local, np.nan))
    assert (nobody.model == start.model).all()


@pytest.mark.parametrize("changes", [{"attack": "krum_attack"}, {"rule": "krum"}])
@pytest.mark.parametrize("arm", ["paired", "float32", "control"])
def test_floats_know_no_attack_and_no_other_rule(
    arm: Arithmetic, changes: dict[str, str], fedavg: Settings
) -> None:
    with pytest.raises(ValueError, match="is for FedAvg without an attack"):
        replace(fedavg, arithmetic=arm, **changes)  # type: ignore[arg-type]
    assert replace(fedavg, **changes).arithmetic == "fixed_point"  # type: ignore[arg-type]


def test_other_settings_or_crops_are_another_run(
    fedavg: Settings, crops: Dataset, tmp_path: Path
) -> None:
    settings = [
        replace(fedavg, arithmetic="float32"),
        replace(fedavg, arithmetic="float32", learning_rate=0.01),
        replace(fedavg, arithmetic="float32", data="0" * 16),
        fedavg,
    ]
    assert len({kept_runs.path_of(tmp_path, each) for each in settings}) == len(settings)
    assert "arithmetic" not in fedavg.as_json()  # or the draws of `mixed` would be others


def test_a_damaged_run_is_named(fedavg: Settings, crops: Dataset, tmp_path: Path) -> None:
    settings = replace(fedavg, arithmetic="float32")
    run(settings, crops, 1, tmp_path)
    path = kept_runs.path_of(tmp_path, settings)
    for damaged in (path.read_bytes()[:200], b"", b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"seed1-\w+\.npz is damaged .* remove it"):
            run(settings, crops, 1, tmp_path)
