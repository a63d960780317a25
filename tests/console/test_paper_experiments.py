"""./bift experiment table7 and its kin, end to end with four vehicles."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from bift_ros.console.main import build_parser
from bift_ros.experiments.plan import BIFT, FIGURES

GUIDE = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text()

TINY = ("--vehicles", 4, "--crops", 10, "--test-crops", 20, "--iterations", 1, "--local-epochs", 1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Defaults lie below the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_table_7_and_a_figure_share_their_runs(bift: Any, folder: Path) -> None:
    done = bift("experiment", "table7", *TINY, "--seeds", 2)
    assert done.code == 0, done.err
    assert "paper 53.8" in done.out
    kept = json.loads((folder / "out/experiments/table7/results.json").read_text())
    rows = kept["rows"]
    assert len(rows) == 2 * (4 * (len(BIFT) + 4) + 2)
    assert {row["attack"] for row in rows if row["seed"] == 2} == {
        "label_flip", "krum_attack", "trimmed_mean_attack", "bulyan_attack", "none",
    }  # fmt: skip
    assert all(0 <= row["accuracy"] <= 100 and row["iterations"] == 1 for row in rows)
    assert kept["scale"]["crops"] == 10
    runs = set((folder / "out/experiments/runs").iterdir())
    before = {path: path.stat().st_mtime_ns for path in runs}

    done = bift("experiment", "fig5", *TINY, "--seeds", 2, "--json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert [row for row in shown if row["rule"] == "fedavg" and row["malicious"] == 0.0]
    assert {path.name for path in (folder / "out/experiments/fig5").iterdir()} == {
        "fig5.md", "fig5.png", "results.csv", "results.json",
    }  # fmt: skip
    after = {path: path.stat().st_mtime_ns for path in (folder / "out/experiments/runs").iterdir()}
    assert after == before


@pytest.mark.slow
def test_defences_on_a_folder_of_images(bift: Any, folder: Path) -> None:
    options = (*TINY, "--data", "synthetic/40-20", "--alpha", 0.5, "--attacks", "alie")
    done = bift("experiment", "defences", *options)
    assert done.code == 2
    assert "no folder synthetic/40-20/train: --data needs" in done.err
    assert bift("experiment", "table7", *TINY, "--attacks", "none", "--rules", "fedavg").code == 0
    (folder / "out/experiments/synthetic").rename(folder / "synthetic")
    (folder / "synthetic/40-20/train/off/note.png").write_text("no image")
    done = bift("experiment", "defences", *options, "--out", "parts")
    assert done.code == 0, done.err
    assert "note.png is no readable image; left out" in done.err
    rows = json.loads((folder / "parts/results.json").read_text())["rows"]
    assert {row["alpha"] for row in rows} == {0.5}
    assert {row["part"] for row in rows if row["rule"] == BIFT[0]} == {
        "rule alone", "rule and lateness", "commit–reveal", "all",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--malicious", "0.6"), "0.6 is not a share from 0 to 0.5"),
        (("--alpha", "0"), "0 is neither iid nor above 0"),
        (("--vehicles", "3"), "30% of 3 vehicles is not one attacker"),
        (("--device", "tpu9"), "tpu9"),
        (("--attacks", "magic"), "invalid choice: 'magic'"),
        (("--rules", "magic"), "invalid choice: 'magic'"),
        (("--classes", "stop"), "'stop' is not folder=class"),
    ],
)
def test_bad_input_is_named(bift: Any, words: tuple[str, ...], complaint: str) -> None:
    done = bift("experiment", "table7", *words)
    assert done.code == 2
    assert complaint in done.err


def test_the_guide_shows_commands_that_there_are() -> None:
    commands = re.findall(r"^\./bift (experiment .*)$", GUIDE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        build_parser("experiment").parse_args(shlex.split(command))
    assert all(f"`{name}`" in GUIDE for name in ("table7", *FIGURES, "defences"))
