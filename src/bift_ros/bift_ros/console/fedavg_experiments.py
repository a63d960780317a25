"""`./bift experiment fixed-point|dataset-difficulty`: plain FedAvg that nobody attacks."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.experiments import dataset_difficulty, fixed_point
from bift_ros.experiments.campaign import run_all
from bift_ros.experiments.datasets import load_synthetic
from bift_ros.experiments.federation import NO_ATTACK, Settings, State
from bift_ros.experiments.plan import NO_DEFENCE
from bift_ros.learning.jobs import TrainingConfig
from bift_ros.learning.training import choose_device

_MEMORY_MB = 4096  # of a GPU
EXPERIMENTS: dict[str, tuple[ModuleType, str]] = {
    "fixed-point": (
        fixed_point,
        "Compare FedAvg in fixed point with FedAvg in float32 on the same seeds.",
    ),
    "dataset-difficulty": (
        dataset_difficulty,
        "Train plain FedAvg on synthetic crops until it has ended.",
    ),
}


def add_arguments(parser: Parser, experiment: str) -> None:
    """The options of an experiment. Defaults are the paper's 15,000 crops."""
    parser.description = EXPERIMENTS[experiment][0].__doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    number: dict[str, Any] = {"type": positive, "metavar": "N"}
    if experiment == "fixed-point":
        parser.add_argument("--seeds", default=3, **number, help="to repeat over (%(default)s)")
        parser.add_argument("--iterations", default=12, **number, help="(%(default)s)")
    else:
        parser.add_argument("--seed", default=1, **number, help="(%(default)s)")
        parser.add_argument("--iterations", default=40, **number, help="(%(default)s)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("out/experiments/crops"),
        help="folder with train/<class>/*.png and test/<class>/*.png; what is missing is "
        "synthesized there (default: %(default)s)",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("out/experiments/runs"),
        help="folder where each run is kept after every iteration; a run that is cut off, or "
        "asked for more iterations, goes on from there (default: %(default)s)",
    )
    parser.add_argument("--vehicles", default=30, **number, help="vehicles (%(default)s)")
    parser.add_argument("--crops", default=500, **number, help="crops a vehicle (%(default)s)")
    parser.add_argument("--test-crops", default=6000, **number, help="if made (%(default)s)")
    parser.add_argument("--local-epochs", default=1, **number, help="in an iteration (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (%(default)s)")
    parser.add_json("one JSON object on stdout")


@reporting(ValueError, RuntimeError)
def main(args: argparse.Namespace) -> int:
    """Run the experiment; 0 where its claim holds, else 1."""
    report, holds = _measure(args)
    print(json.dumps(report) if args.json else EXPERIMENTS[args.action][0].as_text(report))
    return 0 if holds else 1


def _measure(args: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The report, and whether it says what is claimed."""
    data = load_synthetic(args.data, args.vehicles * args.crops, args.test_crops, _say)
    plain = Settings(
        attack=NO_ATTACK,
        rule=NO_DEFENCE,
        malicious=0.0,
        knowledge="full",
        late=False,
        alpha=None,
        seed=1,
        vehicles=args.vehicles,
        crops=args.crops,
        local_epochs=args.local_epochs,
        batch_size=TrainingConfig.batch_size,
        learning_rate=args.learning_rate,
        data=data.digest,
    )
    runner = partial(
        run_all,
        iterations=args.iterations,
        data=data,
        folder=args.runs,
        device=choose_device(args.device, _MEMORY_MB),
        report=_report,
    )
    if args.action == "fixed-point":
        outcomes = fixed_point.measure(plain, range(1, args.seeds + 1), args.iterations, runner)
        report = fixed_point.summarize(outcomes)
        holds = report["within_tolerance"]
    else:
        settings = replace(plain, seed=args.seed, arithmetic="float32")
        accuracy = runner([settings])[settings].accuracy[: args.iterations]
        report = dataset_difficulty.summarize(accuracy)
        holds = report["within_bounds"] and report["flat"]
    return {"test_crops": len(data.test), **report}, holds


def _report(settings: Settings, state: State, new: bool) -> None:
    if new:
        pair = "".join(f", averaged in float32 {value:.2f} %" for value in state.paired[-1:])
        _say(
            f"seed {settings.seed}, {settings.arithmetic}, iteration {state.iterations}: "
            f"{state.accuracy[-1]:.2f} %{pair}"
        )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
