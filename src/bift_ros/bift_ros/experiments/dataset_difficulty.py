"""Experiment: the synthetic crops are hard, not hopeless (`./bift experiment dataset-difficulty`).

Claim (issue part Bags): plain FedAvg with 15,000 crops ends between 90% and 97%, not 100%.

One federation in float32, no attack. It has ended where its curve is flat: the last WINDOW
iterations are on average no more than FLAT points off the WINDOW before. What is compared with
the bounds is the last WINDOW's mean. The run is the `float32` arm of `fixed-point`'s first seed
and shares its file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from bift_ros.experiments import federation
from bift_ros.experiments.federation import Federation, Settings
from bift_ros.experiments.run_files import RunError
from bift_ros.experiments.runs import run

BOUNDS = (90.0, 97.0)  # percent
WINDOW = 5  # iterations
FLAT = 0.3  # points


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's options."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    number: dict[str, Any] = {"type": federation.positive, "metavar": "N"}
    parser.add_argument("--seed", default=1, **number, help="seed (%(default)s)")
    parser.add_argument("--iterations", default=40, **number, help="iterations (%(default)s)")
    federation.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    """Run the experiment; 0 where the curve is flat and within the bounds, else 1."""

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    torch.set_num_threads(1)
    try:
        train, test = federation.load_data(args, say)
        vehicles = Federation(train, test, Settings.from_options(args, args.seed), args.device)
        accuracy = run(vehicles, "float32", args.iterations, args.runs, say).accuracy
    except (RunError, ValueError) as error:
        say(str(error))
        return 2
    report = {"test_crops": len(test), **summarize(accuracy)}
    print(json.dumps(report) if args.json else as_text(report))
    return 0 if report["within_bounds"] and report["flat"] else 1


def summarize(accuracy: Sequence[float]) -> dict[str, Any]:
    """The curve, its end, and how far the end is off the WINDOW before (None: too short)."""
    end = statistics.fmean(accuracy[-WINDOW:])
    before = accuracy[-2 * WINDOW : -WINDOW]
    rise = end - statistics.fmean(before) if len(before) == WINDOW else None
    return {
        "accuracy": list(accuracy),
        "end": end,
        "rise": rise,
        "flat": rise is not None and abs(rise) <= FLAT,
        "within_bounds": BOUNDS[0] <= end <= BOUNDS[1],
    }


def as_text(report: dict[str, Any]) -> str:
    """The curve in rows of ten iterations and one sentence."""
    accuracy = report["accuracy"]
    rows = [
        f"{first + 1:4}: " + " ".join(f"{value:6.2f}" for value in accuracy[first : first + 10])
        for first in range(0, len(accuracy), 10)
    ]
    low, high = BOUNDS
    where = "inside" if report["within_bounds"] else "NOT inside"
    rise = report["rise"]
    shape = (
        "too short a curve to say that it is flat"
        if rise is None
        else f"{rise:+.2f} points from the {WINDOW} before: {'' if report['flat'] else 'NOT '}flat"
    )
    rows.append(
        f"the last {WINDOW} iterations' mean is {report['end']:.2f} %, {where} {low:g} to "
        f"{high:g} %; {shape}"
    )
    return "\n".join(rows)
