"""Experiment: fixed point costs nothing (`./bift experiment fixed-point`).

Claim (issue part PoFL): with no attack, FedAvg over int16 updates and an int32 global model ends
within 0.2 points of FedAvg in float32 on the same seed.

It is measured twice on every seed (`runs` describes the arms):

- free-running, as the claim says: two federations, one in fixed point, one in float32, each going
  its own way from the same start. The verdict and the exit status are about this, seed by seed.
  Training amplifies any rounding, however small, so the two part ways; the control, float32 whose
  start differs by one unit in the last place, shows how far apart two float32 federations end.
- paired: in every iteration the fixed-point federation's local models are averaged both ways and
  both global models are measured. Nothing is amplified: this is what fixed point itself costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bift_ros.experiments import federation
from bift_ros.experiments.federation import Federation, Settings
from bift_ros.experiments.runs import ARMS, RunError, run

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
    def difference(self) -> float:
        """Final accuracy, fixed point minus float32, in points."""
        return self.fixed_point[-1] - self.float32[-1]

    @property
    def control_difference(self) -> float:
        """The same of the control: what one unit in the last place does."""
        return self.control[-1] - self.float32[-1]

    @property
    def paired_differences(self) -> list[float]:
        """Fixed point minus float32 on the same local models, after every iteration."""
        return [a - b for a, b in zip(self.fixed_point, self.paired, strict=True)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's options."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    number: dict[str, Any] = {"type": federation.positive, "metavar": "N"}
    parser.add_argument("--seeds", default=3, **number, help="seeds to repeat over (%(default)s)")
    parser.add_argument("--iterations", default=12, **number, help="iterations (%(default)s)")
    federation.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the experiment; 0 where every seed ends within the tolerance, else 1."""

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    torch.set_num_threads(1)
    outcomes = []
    try:
        train, test = federation.load_data(args, say)
        for seed in range(1, args.seeds + 1):
            vehicles = Federation(train, test, Settings.from_options(args, seed), args.device)
            fixed_point, float32, control = (
                run(vehicles, arm, args.iterations, args.runs, say) for arm in ARMS
            )
            outcomes.append(
                Outcome(
                    seed,
                    fixed_point.accuracy,
                    float32.accuracy,
                    control.accuracy,
                    fixed_point.paired,
                )
            )
    except (RunError, ValueError) as error:
        say(str(error))
        return 2
    report = {"test_crops": len(test), **summarize(outcomes)}
    print(json.dumps(report) if args.json else as_text(report))
    return 0 if report["within_tolerance"] else 1


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All seeds' curves and their differences in points, and whether the claim holds."""
    differences = [outcome.difference for outcome in outcomes]
    control = [outcome.control_difference for outcome in outcomes]
    paired = [value for outcome in outcomes for value in outcome.paired_differences]
    paired_final = [outcome.paired_differences[-1] for outcome in outcomes]
    return {
        "seeds": [
            asdict(outcome)
            | {
                "difference": outcome.difference,
                "control_difference": outcome.control_difference,
                "paired_differences": outcome.paired_differences,
            }
            for outcome in outcomes
        ],
        "free_running": _spread(differences),
        "control": _spread(control),
        "paired": _spread(paired),
        "paired_final": _spread(paired_final),
        "tolerance": TOLERANCE,
        "within_tolerance": _within(differences),
        "control_within_tolerance": _within(control),
        "paired_within_tolerance": _within(paired),
    }


def as_text(report: dict[str, Any]) -> str:
    """The report as a Markdown table of the seeds and three sentences."""
    lines = [
        "| seed | float32 | fixed point | difference | control's difference | paired, final "
        "| paired, largest |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["seeds"]:
        paired = row["paired_differences"]
        lines.append(
            f"| {row['seed']} | {row['float32'][-1]:.2f} % | {row['fixed_point'][-1]:.2f} % | "
            f"{row['difference']:+.2f} | {row['control_difference']:+.2f} | {paired[-1]:+.3f} | "
            f"{max(paired, key=abs):+.3f} |"
        )
    lines.append("")
    for name, key, verdict in (
        ("fixed point minus float32 at the end", "free_running", "within_tolerance"),
        ("control minus float32 at the end", "control", "control_within_tolerance"),
        ("on the same local models, every iteration", "paired", "paired_within_tolerance"),
    ):
        spread = report[key]
        error = spread["standard_error"]
        lines.append(
            f"{name}: {spread['mean']:+.3f} points on average "
            f"(standard error {'unknown' if error is None else f'{error:.3f}'}), at most "
            f"{spread['largest']:.3f}: {'' if report[verdict] else 'NOT '}all within {TOLERANCE}"
        )
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "mean": statistics.fmean(values),
        "standard_error": statistics.stdev(values) / len(values) ** 0.5
        if len(values) > 1
        else None,
        "largest": max(abs(value) for value in values),
    }


def _within(values: Sequence[float]) -> bool:
    # Accuracies are whole crops in a hundred: 0.2 points must not fail by a float's last bit.
    return all(abs(value) <= TOLERANCE + 1e-9 for value in values)
