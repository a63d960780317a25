"""Experiment: fixed point costs nothing (`./bift experiment fixed-point`).

Claim: with no attack, FedAvg over int16 updates and an int32 global model ends
within 0.2 points of FedAvg in float32 on the same seed.

It is measured twice on every seed (`federation.Arithmetic` describes the arms):

- free-running, as the claim says: two federations, one in fixed point, one in float32, each going
  its own way from the same start. The verdict and the exit status are about this, seed by seed.
  Training amplifies any rounding, however small, so the two part ways; the control, float32 whose
  start differs by one unit in the last place, shows how far apart two float32 federations end.
- paired: in every iteration the fixed-point federation's local models are averaged both ways and
  both global models are measured. Nothing is amplified: this is what fixed point itself costs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bift_ros.experiments.federation import Arithmetic, Settings, State

TOLERANCE = 0.2  # points of accuracy


@dataclass(frozen=True)
class Outcome:
    """One seed's accuracies in percent, each after every iteration."""

    seed: int
    fixed_point: tuple[float, ...]
    float32: tuple[float, ...]
    control: tuple[float, ...]
    paired: tuple[float, ...]  # float32 on the fixed-point federation's local models

    @property
    def differences(self) -> list[float]:
        """Fixed point minus float32, after every iteration."""
        return [a - b for a, b in zip(self.fixed_point, self.float32, strict=True)]

    @property
    def control_differences(self) -> list[float]:
        """Control minus float32, after every iteration: what one unit in the last place does."""
        return [a - b for a, b in zip(self.control, self.float32, strict=True)]

    @property
    def paired_differences(self) -> list[float]:
        """Fixed point minus float32 on the same local models, after every iteration."""
        return [a - b for a, b in zip(self.fixed_point, self.paired, strict=True)]


def measure(
    plain: Settings,
    seeds: Sequence[int],
    iterations: int,
    run_all: Callable[[Sequence[Settings]], Mapping[Settings, State]],
) -> list[Outcome]:
    """Have every arm of every seed run; `plain` are the settings that all share."""
    arms: tuple[Arithmetic, ...] = ("paired", "float32", "control")
    runs = {
        (seed, arm): replace(plain, seed=seed, arithmetic=arm) for seed in seeds for arm in arms
    }
    states = run_all(list(runs.values()))
    outcomes = []
    for seed in seeds:
        fixed_point, float32, control = (states[runs[seed, arm]] for arm in arms)
        curves = (fixed_point.accuracy, float32.accuracy, control.accuracy, fixed_point.paired)
        outcomes.append(Outcome(seed, *(curve[:iterations] for curve in curves)))
    return outcomes


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All seeds' curves and their differences in points, and whether the claim holds."""
    free_running = [outcome.differences for outcome in outcomes]
    control = [outcome.control_differences for outcome in outcomes]
    paired = [outcome.paired_differences for outcome in outcomes]
    return {
        "seeds": [
            asdict(outcome)
            | {
                "differences": outcome.differences,
                "control_differences": outcome.control_differences,
                "paired_differences": outcome.paired_differences,
            }
            for outcome in outcomes
        ],
        "tolerance": TOLERANCE,
        "free_running": _spread(free_running),
        "control": _spread(control),
        "paired": _spread(paired),
        "within_tolerance": _spread(free_running)["all_within"],
    }


def as_text(report: dict[str, Any]) -> str:
    """The report in Markdown: a table of the seeds' ends and a table of the differences."""
    lines = [
        "| seed | float32 | fixed point | difference | control's difference | paired difference |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["seeds"]:
        ends = [row[name][-1] for name in ("differences", "control_differences")]
        lines.append(
            f"| {row['seed']} | {row['float32'][-1]:.2f} % | {row['fixed_point'][-1]:.2f} % | "
            f"{ends[0]:+.2f} | {ends[1]:+.2f} | {row['paired_differences'][-1]:+.3f} |"
        )
    lines += [
        "",
        "| points | mean at the end | standard error | largest at the end | "
        "root mean square, every iteration | largest, every iteration |",
        "|---|---|---|---|---|---|",
    ]
    for name, key in (
        ("fixed point − float32", "free_running"),
        ("control − float32", "control"),
        ("fixed point − float32, paired", "paired"),
    ):
        spread = report[key]
        error = spread["standard_error"]
        lines.append(
            f"| {name} | {spread['mean']:+.3f} | {'unknown' if error is None else f'{error:.3f}'} "
            f"| {spread['largest']:.3f} | {spread['rms']:.3f} | {spread['largest_ever']:.3f} |"
        )
    said = {True: "within", False: "NOT within"}
    lines += [
        "",
        f"At the end of every seed, fixed point is {said[report['within_tolerance']]} "
        f"{report['tolerance']} points of float32; the control is "
        f"{said[report['control']['all_within']]}, and fixed point on the same local models is "
        f"{said[report['paired']['all_within']]}.",
    ]
    return "\n".join(lines)


def _spread(differences: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Of every seed's differences, one per iteration: how their ends and all of them spread."""
    ends = [curve[-1] for curve in differences]
    every = [value for curve in differences for value in curve]
    count = len(ends)
    return {
        "mean": statistics.fmean(ends),
        "standard_error": statistics.stdev(ends) / count**0.5 if count > 1 else None,
        "largest": max(map(abs, ends)),
        "rms": statistics.fmean(value**2 for value in every) ** 0.5,
        "largest_ever": max(map(abs, every)),
        # Accuracies are whole crops in a hundred: the tolerance itself must not fail by a bit.
        "all_within": all(abs(end) <= TOLERANCE + 1e-9 for end in ends),
    }
