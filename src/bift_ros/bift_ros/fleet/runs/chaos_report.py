"""What the chaos came to: `report.json`, `report.md` and a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_OF_RUN = (
    "iterations", "wall_seconds", "agreed", "verified", "tip", "heights", "balances",
    "balances_add_up", "accuracy", "final_accuracy",
)  # fmt: skip


def scenario_report(
    run: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    problems: Sequence[str],
    iterations: int,
) -> dict[str, Any]:
    """One scenario's part of the report.

    `run` is the demo's report, empty where there is none; `problems` are the scenario's own,
    `iterations` what the task asked for.
    """
    found = list(problems)
    if run:
        found += _broken(run, iterations)
    elif not found:
        found.append("the run has no report")
    return {
        "held": not found,
        "problems": found,
        "events": [dict(event) for event in events],
        **{name: run.get(name) for name in _OF_RUN},
    }


def _broken(run: Mapping[str, Any], iterations: int) -> list[str]:
    """What a run that came to its end should have kept and did not."""
    found = []
    if not run["agreed"]:
        heights = ", ".join(f"{n} at {h}" for n, h in run["heights"].items())
        found.append(f"the vehicles stand on different tips: {heights}")
    if run["iterations"] != iterations:
        found.append(f"{run['iterations']} iterations were made, not {iterations}")
    found += [
        f"the chain of {name} does not verify: {verified}"
        for name, verified in run["verified"].items()
        if verified is not True
    ]
    if not run["balances_add_up"]:
        found.append("the balances are not the rewards paid")
    return found


def table(report: Mapping[str, Any]) -> Table:
    """The report for the terminal."""
    shown = Table(title="Chaos", title_justify="left")
    shown.add_column("scenario")
    for heading in ("done", "seconds", "height", "accuracy"):
        shown.add_column(heading, justify="right")
    shown.add_column("one tip")
    shown.add_column("verified")
    shown.add_column("held")
    for name, part in report["scenarios"].items():
        shown.add_row(name, *_cells(part), _word(part["held"]))
    return shown


def markdown(report: Mapping[str, Any]) -> str:
    """The content of `report.md`."""
    lines = ["# Chaos", "", f"Everything held: **{_word(report['held'])}**.", ""]
    for name, part in report["scenarios"].items():
        heights = part["heights"] or {}
        iterations, seconds, height, accuracy, one_tip, verified = _cells(part)
        lines += [
            f"## {name}",
            "",
            "| what | result |",
            "|---|---|",
            f"| held | {_word(part['held'])} |",
            f"| iterations | {iterations} |",
            f"| wall seconds | {seconds} |",
            f"| one tip | {one_tip} |",
            f"| height | {height} |",
            f"| chains verify | {verified} |",
            f"| accuracy by iteration | {_accuracies(part)} |",
            f"| final accuracy | {accuracy} |",
            *(f"| height of {vehicle} | {value} |" for vehicle, value in heights.items()),
            "",
            *(f"- **Problem:** {problem}" for problem in part["problems"]),
            *([""] if part["problems"] else []),
            "| second | event |",
            "|---:|---|",
            *(f"| {e['seconds']} | {_cell(e['text'])} |" for e in part["events"]),
            "",
        ]
    return "\n".join(lines)


def _cells(part: Mapping[str, Any]) -> tuple[str, ...]:
    if part["iterations"] is None:
        return ("–",) * 6
    heights = sorted(set(part["heights"].values()))
    final = part["final_accuracy"]
    return (
        str(part["iterations"]),
        str(part["wall_seconds"]),
        ", ".join(map(str, heights)),
        f"{final:.1%}" if final is not None else "–",
        _word(part["agreed"]),
        _word(all(v is True for v in part["verified"].values())),
    )


def _accuracies(part: Mapping[str, Any]) -> str:
    return " ".join(f"{a:.1%}" if a is not None else "–" for a in part["accuracy"] or ())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _word(value: object) -> str:
    return "yes" if value else "NO"
