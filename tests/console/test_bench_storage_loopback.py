"""./bift bench storage --loopback: what it prints, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bift_ros.benchmarks import storage_loopback
from bift_ros.console.main import main


def test_each_direction_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storage_loopback, "TURNS", 1)
    monkeypatch.setattr(storage_loopback, "BLOCKS", 12)
    assert main(["bench", "storage", "--loopback", "--size", "3", "--json"]) == 0
    put, get, opened = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (put["direction"], get["direction"]) == ("put", "get")
    assert get["beside"] in ("http.server", "nginx")
    for line in (put, get):
        assert line["backend"] == "embedded"
        assert line["mb"] == 3
        assert line["ratio"] > 0
        assert line["mb_per_s"] == pytest.approx(3 / line["seconds"], rel=0.1)
        assert line["peak_mb_above_idle"] >= 0
    assert opened["blocks"] == 12
    assert list(tmp_path.iterdir()) == []
