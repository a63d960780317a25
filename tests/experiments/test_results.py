"""Rows, tables and files, from runs that were never trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from bift_ros.experiments.federation import State
from bift_ros.experiments.figures import draw
from bift_ros.experiments.plan import FIGURES, PRESETS, Case, Choice, cases
from bift_ros.experiments.results import row_of, tables_of, write_files
from bift_ros.perception.classes import CLASSES

QUICK = PRESETS["quick"]
CLASS_COUNTS = {split: dict.fromkeys(CLASSES, 7) for split in ("train", "test")}
HEADER: dict[str, Any] = {
    "command": "./bift experiment",
    "scale": {"vehicles": 30, "test_crops": 1500},
    "seeds": [1, 2],
    "data": "synthetic crops",
    "versions": {"Python": "3"},
    "device": "CPU",
}


def row(
    experiment: str, case: Case, seed: int = 1, accuracy: tuple[float, ...] = (50.0, 90.0)
) -> dict[str, Any]:
    """A run of two iterations with 30 vehicles, in which each is rewarded but the first."""
    rewarded = (False, *[True] * 29)
    model = np.zeros(3, np.int32)
    state = State(model, model, accuracy, (), ((True,) * 30,) * 2, (rewarded,) * 2)
    return row_of(experiment, case, case.settings(seed, QUICK, ""), state, len(accuracy))


def rows_of(experiment: str) -> list[dict[str, Any]]:
    return [
        row(experiment, case, seed, (40.0, 80.0 + 2 * seed))
        for case in cases(experiment, Choice(alphas=[None, 0.1]))
        for seed in (1, 2)
    ]


def test_a_row_has_what_readers_look_for() -> None:
    found = row("table7", Case("krum_attack", "krum", 0.3, 0.5), seed=3)
    expected = {
        "attack": "krum_attack", "rule": "krum", "malicious": 0.3, "alpha": 0.5, "seed": 3,
        "accuracy": 90.0, "iterations": 2, "part": "rule alone", "curve": [50.0, 90.0],
        "attackers_rewarded": round(9 / 29, 4), "updates": [30, 30],
    }  # fmt: skip
    assert found.items() >= expected.items()
    assert row("table7", Case("none", "fedavg", 0.0, None))["attackers_rewarded"] is None


def test_a_run_with_more_iterations_gives_the_first_ones() -> None:
    case = Case("label_flip", "krum", 0.3, None)
    model = np.zeros(3, np.int32)
    sent = ((True,) * 30,) * 3
    state = State(model, model, (1.0, 2.0, 3.0), (), sent, sent)
    found = row_of("table7", case, case.settings(1, QUICK, ""), state, 2)
    assert (found["accuracy"], found["iterations"], found["curve"]) == (2.0, 2, [1.0, 2.0])
    assert found["updates"] == [30, 30]


def test_a_cell_has_the_mean_the_worst_and_the_papers() -> None:
    case = Case("krum_attack", "krum", 0.3, None)
    rows = [row("table7", case, seed, (float(accuracy),)) for seed, accuracy in ((1, 90), (2, 80))]
    (table,) = tables_of("table7", rows)
    assert table.columns == ("", "Krum")
    assert table.rows == (("Krum attack, 30%", "85.0\nworst 80.0\npaper 53.8"),)
    (table,) = tables_of("fig8", rows)
    assert table.rows == (("Krum", "15.0\nworst 20.0\npaper 46.2"),)
    assert tables_of("table7", rows[:1])[0].rows[0][1] == "90.0\npaper 53.8"


def test_a_cell_compares_with_fedavg_unharmed_and_counts_backdoored_crops() -> None:
    case = Case("backdoor", "krum", 0.3, None)
    rows = [row("table7", case, seed, (85.0,)) for seed in (1, 2)]
    rows = [r | {"backdoor_success": success} for r, success in zip(rows, (4.0, 7.0), strict=True)]
    clean = [row("table7", Case("none", "fedavg", 0.0, None), s, (84.0 + s,)) for s in (1, 2)]
    clean = [r | {"backdoor_success": 1.0} for r in clean]
    (table,) = tables_of("table7", rows + clean)
    compared = "Δ -0.5, worst -1.0"
    assert table.rows[0][1] == f"85.0\nworst 85.0\n{compared}\nbackdoor 5.5, worst 7.0"
    assert table.rows[1][2] == "85.5\nworst 85.0\npaper 92.5\nbackdoor 1.0, worst 1.0"
    (table,) = tables_of("table7", clean)
    assert "backdoor" not in table.rows[0][1]


def test_fedavg_of_the_others_has_a_line_of_its_own() -> None:
    asked = cases("table7", Choice(["none"], ["fedavg"]))
    (table,) = tables_of("table7", [row("table7", case) for case in asked])
    assert [(line[0], line[1].split("\n")) for line in table.rows] == [
        ("no attack, 30%", ["90.0", "Δ +0.0"]),
        ("attackers left out, 30%", ["90.0", "Δ +0.0"]),
        ("no attack", ["90.0", "paper 92.5"]),
    ]


def test_table_7_is_laid_out_as_the_papers() -> None:
    iid, skewed = tables_of("table7", rows_of("table7"))
    assert iid.columns[-4:] == ("Krum", "trimmed mean", "Bulyan", "no defence")
    assert [cells[0].split(",")[0] for cells in iid.rows] == [
        "label flip", "Krum attack", "trimmed mean attack", "Bulyan attack", "attackers left out",
        "no attack",
    ]  # fmt: skip
    assert "α = 0.1" in skewed.title
    assert all(cell for cells in iid.rows[:4] for cell in cells)
    assert iid.rows[4][1:-1] == ("",) * (len(iid.columns) - 2)


def test_parts_of_the_defence_are_columns() -> None:
    table = tables_of("defences", rows_of("defences"))[0]
    assert table.columns[1:] == ("rule alone", "rule and lateness", "commit–reveal", "all")


def test_what_the_parts_cost_where_nobody_attacks_is_one_line_for_each_rule() -> None:
    asked = cases("defences", Choice(["none"], ["krum"]))
    (table,) = tables_of("defences", [row("defences", case) for case in asked])
    assert [line[0] for line in table.rows] == [
        "no attack, 30%: Krum", "no attack, 30%: Bift (robust)",
    ]  # fmt: skip


@pytest.mark.parametrize("experiment", ["table7", "defences", *FIGURES])
def test_files_say_the_same(experiment: str, tmp_path: Path) -> None:
    rows = rows_of(experiment)
    write_files(tmp_path, experiment, HEADER, rows)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["rows"] == rows
    with (tmp_path / "results.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["accuracy"]) for line in lines] == [row["accuracy"] for row in rows]
    assert lines[-1]["alpha"] == "0.1"
    markdown = (tmp_path / f"{experiment}.md").read_text()
    assert markdown.startswith(f"# {experiment}\n")
    assert "Dirichlet, α = 0.1" in markdown
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".csv", ".md"}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_a_panel_for_each_split(name: str, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    draw(name, rows_of(name), CLASS_COUNTS, path)
    image = cv2.imread(str(path))
    assert image is not None
    panels = 3 if name == "fig7" else 2
    assert image.shape[1] == panels * 660
    assert image.std() > 10
