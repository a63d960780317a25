"""./bift bench aggregation: what it prints, not how fast anything is."""

from __future__ import annotations

import json

import pytest

from bift_ros.benchmarks import aggregation
from bift_ros.console.main import main
from bift_ros.pofl.rules import MODEL_RULES


@pytest.fixture(autouse=True)
def _one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregation, "MAX_TURNS", 1)
    monkeypatch.setattr(aggregation, "SETTLE_SECONDS", 0.0)


def call(*arguments: str) -> int:
    return main(["bench", "aggregation", *arguments])


def test_one_json_object_a_line_for_each_rule_and_peer(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--vehicles", "11", "--byzantine", "2", "--parameters", "500,900", "--json") == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = {
        ("fedavg", "flower"), ("krum", "byzfl"), ("krum", "flower"), ("multi_krum", "byzfl"),
        ("multi_krum", "flower"), ("trimmed_mean", "byzfl"), ("trimmed_mean", "flower"),
        ("bulyan", "flower"), ("robust", None), ("mixed", None),
    }  # fmt: skip
    for size in (500, 900):
        assert {(r["rule"], r["peer"]) for r in results if r["parameters"] == size} == expected
    for result in results:
        assert result["ours_ms"] > 0
        assert result["peak_over_input"] > 1
        if result["peer"]:
            ratio = result["peer_ms"] / result["ours_ms"]
            assert result["ratio"] == pytest.approx(ratio, rel=0.1, abs=0.01)


def test_peers_that_refuse_the_numbers_are_left_out() -> None:
    results = list(aggregation.run(4, 2, [100]))
    assert [r["peer"] for r in results if r["rule"] == "bulyan"] == [None]
    assert {r["rule"] for r in results} == {*MODEL_RULES, "mixed"}


def test_a_person_gets_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--vehicles", "5", "--byzantine", "1", "--parameters", "100") == 0
    assert "trimmed_mean" in capsys.readouterr().out


@pytest.mark.parametrize("bad", ["", "x", "0", "5,-1"])
def test_bad_sizes_are_refused(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--parameters", bad) == 2
    assert "--parameters" in capsys.readouterr().err
