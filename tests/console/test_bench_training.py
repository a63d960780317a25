"""./bift bench training: what it prints, not how fast anything is."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch

from bift_ros.benchmarks import training
from bift_ros.console.main import main


@pytest.fixture(autouse=True)
def _one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "TURNS", 1)
    monkeypatch.setattr(training, "_TRIAL_TURNS", 1)


def call(*arguments: str) -> int:
    return main(["bench", "training", *arguments])


def test_one_json_object_a_line_for_each_device(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert call("--vehicles", "3", "--crops", "20", "--json") == 0
    assert torch.get_num_threads() == threads
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    assert [result["device"] for result in results] == devices
    for result in results:
        assert (result["vehicles"], result["crops"], result["parameters"]) == (3, 20, 56170)
        assert result["ratio"] == pytest.approx(result["loop_s"] / result["batch_s"], rel=0.1)
        for name in ("loop", "batch"):
            speed = 60 / result[f"{name}_s"]
            assert result[f"{name}_crops_per_s"] == pytest.approx(speed, rel=0.1)
            assert result[f"{name}_peak_mib"] >= 0
    assert results[0]["batch_threads"] == len(os.sched_getaffinity(0))


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--vehicles", "2", "--crops", "10", "--device", "cpu") == 0
    shown = capsys.readouterr().out
    assert "loop" in shown
    assert "×" in shown


@pytest.mark.parametrize("bad", ["tpu9", "cuda:99"])
def test_a_missing_device_is_named(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--device", bad) == 2
    assert "--device" in capsys.readouterr().err


def test_denormal_numbers_are_there_afterwards() -> None:
    """They are flushed for the measurement alone, not for all that follows in the process."""
    list(training.run(2, 10, ["cpu"]))
    assert np.float64(5e-324) * 1.0 > 0
