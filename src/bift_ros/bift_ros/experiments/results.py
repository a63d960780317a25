"""An experiment's results: a row for each run, tables of them, and the files that keep them."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bift_ros.experiments.federation import NO_ATTACK, Settings, State
from bift_ros.experiments.paper_results import paper_accuracy
from bift_ros.experiments.plan import FIGURES, NO_DEFENCE, PARTS, Case

LABELS = {
    NO_ATTACK: "no attack",
    "robust": "Bift (robust)",
    "mixed": "Bift (mixed)",
    "fedavg": "no defence",
    "krum": "Krum",
    "bulyan": "Bulyan",
    "krum_attack": "Krum attack",
    "bulyan_attack": "Bulyan attack",
}

_CONDITIONS = (
    "Attackers see all honest updates before they send theirs, and every update is in time; the "
    "paper's Bift also drops late ones, for which see `defences`. Δ: points above FedAvg of the "
    "same seed that nobody attacks.",
    "The parts are described in docs/experiments.md.",
)
"""What the attackers may do: in tables and figures, and in `defences`."""

Row = Mapping[str, Any]


def label(name: str) -> str:
    """An attack's or a rule's name for people."""
    return LABELS.get(name, name.replace("_", " "))


def split_label(alpha: float | None) -> str:
    """A data split's name for people."""
    return "IID" if alpha is None else f"Dirichlet, α = {alpha:g}"


def row_of(
    experiment: str, case: Case, settings: Settings, state: State, iterations: int
) -> dict[str, Any]:
    """One run after so many iterations; accuracies in percent. ``settings`` are the run's."""
    part = PARTS[case.part]
    curve = state.accuracy[:iterations]
    return {
        "attack": case.attack,
        "rule": case.rule,
        "malicious": case.malicious,
        "alpha": case.alpha,
        "seed": settings.seed,
        "accuracy": curve[-1],
        "iterations": iterations,
        "part": case.part,
        "knowledge": part.knowledge,
        "lateness": part.lateness,
        "paper_accuracy": paper_accuracy(experiment, case),
        "backdoor_success": state.backdoor[iterations - 1] if state.backdoor else None,
        "attackers_rewarded": _attackers_rewarded(settings, state, iterations),
        "updates": [sum(vehicles) for vehicles in state.sent[:iterations]],
        "curve": list(curve),
    }


def _attackers_rewarded(settings: Settings, state: State, iterations: int) -> float | None:
    """The attackers' share of all rewards; None where there are none."""
    rewarded = state.contributed[:iterations]
    total = sum(map(sum, rewarded))
    if not settings.attackers or not total:
        return None
    honest = settings.vehicles - settings.attackers
    return round(sum(sum(vehicles[honest:]) for vehicles in rewarded) / total, 4)


@dataclass(frozen=True)
class Table:
    """Results for people; a cell may have several lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_markdown(self) -> str:
        """With the title as a heading."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        body = "\n".join(f"| {' | '.join(cells).replace(chr(10), '<br>')} |" for cells in lines)
        return f"## {self.title}\n\n{body}\n"


def tables_of(experiment: str, rows: Sequence[Row]) -> list[Table]:
    """One table for each split; a cell has the seeds' mean, the worst seed, the paper's number, the
    points above FedAvg that nobody attacks (Δ) and, where a backdoor is among the attacks, how many
    stamped crops are taken for its class."""
    what = "Test error (%)" if experiment in FIGURES else "Accuracy (%)"
    return [
        _table(f"{what}, {split_label(alpha)}", experiment, rows, alpha)
        for alpha in dict.fromkeys(row["alpha"] for row in rows)
    ]


def _table(title: str, experiment: str, rows: Sequence[Row], alpha: float | None) -> Table:
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["alpha"] == alpha:
            cells.setdefault(_place(experiment, row), []).append(row)
    unharmed = {
        row["seed"]: row["accuracy"]
        for row in rows
        if row["alpha"] == alpha and row["rule"] == NO_DEFENCE and not row["malicious"]
    }
    backdoored = any(row["attack"] == "backdoor" for row in rows)
    names, columns = (tuple(dict.fromkeys(place[axis] for place in cells)) for axis in (0, 1))
    errors = experiment in FIGURES

    def cell(name: str, column: str) -> str:
        found = cells.get((name, column), ())
        lines = _cell(found, errors, unharmed)
        return "\n".join(lines + _successes(found) if backdoored else lines)

    return Table(
        title,
        ("", *columns),
        tuple((name, *(cell(name, column) for column in columns)) for name in names),
    )


def _place(experiment: str, row: Row) -> tuple[str, str]:
    """The names of a row's line and column in the experiment's table."""
    share = f"{row['malicious']:.0%}"
    attack, rule = label(row["attack"]), label(row["rule"])
    if experiment in FIGURES:
        return rule, f"{share} malicious"
    attacked = f"{attack}, {share}" if row["malicious"] else attack
    if experiment == "defences":
        return f"{attacked}: {rule}", row["part"]
    left_out = row["attack"] == NO_ATTACK and row["lateness"]
    return f"attackers left out, {share}" if left_out else attacked, rule


def _cell(rows: Sequence[Row], errors: bool, unharmed: Mapping[int, float]) -> list[str]:
    """The worst seed is named where there are several. ``unharmed`` has each seed's accuracy under
    FedAvg without an attack; tables of errors don't compare with it."""
    if not rows:
        return []
    accuracies = [row["accuracy"] for row in rows]
    shown = [100 - accuracy if errors else accuracy for accuracy in accuracies]
    lines = [f"{statistics.fmean(shown):.1f}"]
    if len(rows) > 1:
        lines.append(f"worst {max(shown) if errors else min(shown):.1f}")
    if rows[0]["paper_accuracy"] is not None:
        paper = rows[0]["paper_accuracy"]
        lines.append(f"paper {100 - paper if errors else paper:.1f}")
    if not errors and rows[0]["malicious"] and all(row["seed"] in unharmed for row in rows):
        above = [row["accuracy"] - unharmed[row["seed"]] for row in rows]
        worst = f", worst {min(above):+.1f}" if len(rows) > 1 else ""
        lines.append(f"Δ {statistics.fmean(above):+.1f}{worst}")
    return lines


def _successes(rows: Sequence[Row]) -> list[str]:
    """How many stamped crops are taken for the backdoor's class, where that was looked at."""
    found = [row["backdoor_success"] for row in rows if row["backdoor_success"] is not None]
    worst = f", worst {max(found):.1f}" if len(found) > 1 else ""
    return [f"backdoor {statistics.fmean(found):.1f}{worst}"] if found else []


def write_files(
    folder: Path, experiment: str, header: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """`results.json`, `results.csv` and `EXPERIMENT.md`, each replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "results.json", json.dumps({**header, "rows": rows}, indent=1) + "\n")
    _write(folder / f"{experiment}.md", as_markdown(experiment, header, rows))
    text = io.StringIO()
    single = [name for name in rows[0] if not isinstance(rows[0][name], list)]
    writer = csv.DictWriter(text, single, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(folder / "results.csv", text.getvalue())


def as_markdown(experiment: str, header: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """What was run, with what, and its tables."""
    scale = ", ".join(
        f"{name.replace('_', ' ')} {n}" for name, n in header["scale"].items() if name != "seeds"
    )
    versions = ", ".join(f"{name} {version}" for name, version in header["versions"].items())
    tables = "\n".join(table.as_markdown() for table in tables_of(experiment, rows))
    return (
        f"# {experiment}\n\n    {header['command']}\n\n"
        f"{scale}. Seeds {', '.join(map(str, header['seeds']))}. Data {header['data']}. "
        f"{versions}, on {header['device']}. {_CONDITIONS[experiment == 'defences']}\n\n{tables}"
    )


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
