"""Real runs of four vehicles: cut off and gone on with, shared, and what attackers change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bift_ros.attacks.registry import ATTACKS
from bift_ros.experiments import campaign, kept_runs
from bift_ros.experiments.campaign import run_all
from bift_ros.experiments.datasets import Dataset, load_synthetic
from bift_ros.experiments.federation import Federation, Settings, State
from bift_ros.experiments.kept_runs import RunError
from bift_ros.learning.batched import BatchedTraining, train_batched
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE
from bift_ros.learning.models import build_model
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.codec import decode_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_synthetic(tmp_path_factory.mktemp("crops"), train=160, test=60)


@pytest.fixture
def settings(data: Dataset) -> Settings:
    return Settings(
        attack="trimmed_mean_attack",
        rule="mixed",
        malicious=0.25,
        knowledge="full",
        late=False,
        alpha=None,
        seed=1,
        vehicles=4,
        crops=40,
        local_epochs=1,
        batch_size=10,
        learning_rate=0.001,
        data=data.digest,
    )


def federation(settings: Settings, data: Dataset) -> Federation:
    model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), settings.seed)
    return Federation(settings, data, model, CPU)


def one_step(settings: Settings, data: Dataset, moved: np.ndarray) -> State:
    """The first step, where vehicle v's training moved every parameter by moved[v]."""
    vehicles = federation(settings, data)
    state = vehicles.begin()
    trained = decode_model(state.model) + moved[:, None].astype(np.float32)
    return vehicles.step(state, trained[: len(vehicles.crops)])


def test_only_who_sends_what_it_trained_trains(settings: Settings, data: Dataset) -> None:
    """Trimming attackers know the honest updates, so their own trainings change nothing."""
    vehicles = federation(settings, data)
    state = vehicles.begin()
    assert len(vehicles.crops) == len(vehicles.seeds(state)) == 3
    trained = decode_model(state.model) + np.full((4, 1), 0.01, np.float32)
    with_theirs, without = vehicles.step(state, trained), vehicles.step(state, trained[:3])
    assert (with_theirs.model == without.model).all()
    late = replace(settings, attack="none", late=True)
    assert len(federation(late, data).crops) == 3
    for other in (replace(settings, knowledge="own"), replace(settings, attack="label_flip")):
        assert len(federation(other, data).crops) == 4


class CutOffError(Exception):
    """What ends a run in the middle."""


def test_what_runs_train_alike_is_trained_once(
    settings: Settings, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def counting(model: Any, crops: Any, *arguments: Any) -> BatchedTraining:
        trained.append(len(crops))
        return train_batched(model, crops, *arguments)

    monkeypatch.setattr(campaign, "train_batched", counting)
    plain = replace(settings, attack="none", rule="fedavg")
    runs = [plain, replace(plain, rule="krum"), replace(plain, attack="label_flip")]
    together = run_all(runs, 2, data, tmp_path / "together", CPU)
    assert trained == [5, 12]  # at first they differ by the attacker's labels only
    alone = {run: run_all([run], 2, data, tmp_path / "alone", CPU)[run] for run in runs}
    for run in runs:
        assert (together[run].model == alone[run].model).all()


def test_a_run_that_is_cut_off_goes_on_to_the_same_bytes(
    settings: Settings, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [settings, replace(settings, attack="backdoor", rule="krum"), replace(settings, seed=2)]
    whole = run_all(runs, 3, data, tmp_path / "whole", CPU)
    monkeypatch.setitem(campaign.TOGETHER, "cpu", 2)
    seen = []

    def cut(of: Settings, state: State, new: bool) -> None:
        seen.append((of, state.iterations))
        if len(seen) == 4:  # two runs train together: one has done its second iteration
            raise CutOffError

    with pytest.raises(CutOffError):
        run_all(runs, 3, data, tmp_path / "parts", CPU, cut)
    begun = {state.name for state in (tmp_path / "parts").iterdir()}
    assert len(begun) == 2
    fresh = []
    parts = run_all(
        runs, 3, data, tmp_path / "parts", CPU, lambda of, state, new: fresh.append(new)
    )
    assert fresh.count(True) == 3 * len(runs) - 4
    for run in runs:
        assert parts[run].accuracy == whole[run].accuracy
        one, other = (kept_runs.path_of(tmp_path / n, run) for n in ("whole", "parts"))
        assert one.read_bytes() == other.read_bytes()
    assert len(whole[settings].accuracy) == 3
    assert (whole[settings].model != whole[settings].previous).any()
    assert len(whole[runs[1]].backdoor) == 3
    assert whole[settings].backdoor == ()


def test_what_nobody_backdoored_is_measured_too(
    settings: Settings, data: Dataset, tmp_path: Path
) -> None:
    clean = replace(settings, attack="none")
    assert len(run_all([clean], 2, data, tmp_path, CPU)[clean].backdoor) == 2


def test_kept_runs_train_nothing_again(settings: Settings, data: Dataset, tmp_path: Path) -> None:
    run_all([settings], 2, data, tmp_path, CPU)
    news = []
    again = run_all([settings], 1, data, tmp_path, CPU, lambda of, state, new: news.append(new))
    assert news == [False]
    assert again[settings].iterations == 2


def test_another_runs_file_and_a_damaged_one_are_refused(
    settings: Settings, data: Dataset, tmp_path: Path
) -> None:
    run_all([settings], 1, data, tmp_path, CPU)
    other = replace(settings, seed=7)
    path = kept_runs.path_of(tmp_path, settings)
    kept_runs.path_of(tmp_path, other).write_bytes(path.read_bytes())
    with pytest.raises(RunError, match="name another --runs"):
        run_all([other], 2, data, tmp_path, CPU)
    for damaged in (path.read_bytes()[:300], b""):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"is damaged .* remove it"):
            run_all([settings], 2, data, tmp_path, CPU)


def test_a_run_that_lacks_a_measurement_is_refused(
    settings: Settings, data: Dataset, tmp_path: Path
) -> None:
    clean = replace(settings, attack="none")
    state = run_all([clean], 1, data, tmp_path, CPU)[clean]
    kept_runs.save(tmp_path, clean, replace(state, backdoor=()))
    with pytest.raises(RunError, match=r"success for 0 of 1 iterations .* remove it"):
        run_all([clean], 2, data, tmp_path, CPU)


def test_attackers_pull_the_mean_their_way(settings: Settings, data: Dataset) -> None:
    moved = np.array([0.01, 0.02, 0.03, 0.04])
    plain = replace(settings, attack="none", malicious=0.0, rule="fedavg")
    flipped = replace(settings, attack="sign_flip", rule="fedavg")
    for run, mean in ((plain, 0.025), (flipped, (0.06 - 0.02) / 4)):
        state = one_step(run, data, moved)
        change = (state.model - state.previous) * 2.0**-20
        assert np.abs(change - mean).max() < 1e-4
        assert state.sent == ((True,) * 4,)


def test_late_updates_are_left_out(settings: Settings, data: Dataset) -> None:
    late = replace(settings, attack="none", rule="fedavg", late=True)
    state = one_step(late, data, np.array([0.01, 0.02, 0.03, 1.0]))
    change = (state.model - state.previous) * 2.0**-20
    assert np.abs(change - 0.02).max() < 1e-4
    assert state.sent == ((True, True, True, False),)
    assert state.contributed == ((True, True, True, False),)  # none of three is assumed hostile


def test_a_diverged_training_sends_nothing(settings: Settings, data: Dataset) -> None:
    run = replace(settings, attack="label_flip", rule="fedavg")
    state = one_step(run, data, np.array([0.01, np.nan, 0.01, 0.01]))
    assert state.sent == ((True, False, True, True),)
    assert np.abs((state.model - state.previous) * 2.0**-20 - 0.01).max() < 1e-4
    nobody = one_step(run, data, np.full(4, np.nan))
    assert nobody.sent == nobody.contributed == ((False,) * 4,)
    assert (nobody.model == nobody.previous).all()
    assert nobody.iterations == 1


def test_of_equal_updates_the_first_senders_contribute(settings: Settings, data: Dataset) -> None:
    run = replace(settings, attack="label_flip")
    state = one_step(run, data, np.full(4, 0.01))
    assert state.contributed == ((True, True, True, False),)


def test_only_attackers_crops_are_poisoned(settings: Settings, data: Dataset) -> None:
    honest = federation(replace(settings, attack="none"), data).crops
    poisoned = federation(replace(settings, attack="label_flip", malicious=0.5), data).crops
    same = [bool((a.labels == b.labels).all()) for a, b in zip(honest, poisoned, strict=True)]
    assert same == [True, True, False, False]


@pytest.mark.slow
def test_all_attacks_run_under_either_knowledge(settings: Settings, data: Dataset) -> None:
    moved = np.random.default_rng(0).normal(0, 0.01, 4)
    for attack in ATTACKS:
        for knowledge in ("full", "own"):
            run = replace(settings, attack=attack, knowledge=knowledge, malicious=0.5)
            state = one_step(run, data, moved)
            assert state.sent == ((True,) * 4,), attack
