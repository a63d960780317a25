"""./bift bench chain: what it prints, not how fast anything is."""

from __future__ import annotations

import json

import pytest

from bift_ros.benchmarks import chain
from bift_ros.console.main import main


def call(*arguments: str) -> int:
    return main(["bench", "chain", *arguments])


def test_one_json_object_for_checking_and_one_for_loading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chain, "TURNS", 2)
    assert call("--updates", "4", "--blocks", "6", "--json") == 0
    check, load = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (check["bench"], check["updates"], check["signatures"]) == ("check", 4, 5)
    assert check["ratio"] == pytest.approx(check["ours_ms"] / check["bare_ms"], rel=0.01)
    assert (load["bench"], load["blocks"], load["transactions"]) == ("load", 6, 16)
    assert load["blocks_per_s"] > 0
    assert load["memory_mib"] >= 0


@pytest.mark.parametrize("bad", [["--updates", "0"], ["--updates", "151"], ["--blocks", "1"]])
def test_numbers_that_make_no_sense_are_refused(
    bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*bad) == 2
    assert "bench chain" in capsys.readouterr().err
