"""Experiment: fixed point costs nothing (`./bift experiment fixed-point`).

Claim (issue part PoFL): with no attack, FedAvg over int16 updates and an int32 global model ends
within 0.2 points of FedAvg in float32 on the same seed.

For every seed three federations run from the same start, on the same split, with the same
order of samples:

- `float32`: the global model is the sample-weighted mean of the local models, in float32;
- `fixed_point`: the very code of a vehicle: `encode_update`, `aggregate`, `decode_model`;
- `control`: float32 again, its start moved by one unit in the last place of every parameter.

Training amplifies any rounding, however small: the first differing bit sends minibatch descent
down another path of like quality. The control shows how far apart two float32 runs end that way,
so a difference is read against the control's, not against zero.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bift_ros.learning.data import Crops, load_training_crops
from bift_ros.learning.evaluation import evaluate
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, TrainingConfig
from bift_ros.learning.models import build_model, read_parameters, write_parameters
from bift_ros.learning.training import choose_device, train_local
from bift_ros.perception.classes import CLASSES
from bift_ros.perception.synth import synthesize
from bift_ros.pofl.aggregate import Update, aggregate
from bift_ros.pofl.codec import decode_model, encode_model, encode_update

TOLERANCE = 0.2  # points of accuracy
_SYNTH_SEEDS = {"train": 101, "test": 102}

Flat = npt.NDArray[np.float32]
LocalModels = list[tuple[Flat, int]]  # each vehicle's trained parameters and sample count


@dataclass(frozen=True)
class Outcome:
    """Final accuracies of one seed's three federations, in percent."""

    seed: int
    float32: float
    fixed_point: float
    control: float

    @property
    def difference(self) -> float:
        """Fixed point minus float32, in points."""
        return self.fixed_point - self.float32

    @property
    def control_difference(self) -> float:
        """Control minus float32, in points: what one unit in the last place does."""
        return self.control - self.float32


class Federation:
    """K vehicles with a fixed split of the training crops; trains and measures flat models."""

    def __init__(self, train: Crops, test: Crops, options: argparse.Namespace, seed: int) -> None:
        self._options = options
        self._seed = seed
        self._test = test
        self._device = choose_device(options.device, memory_mb=4096)
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        parts = [order[k * options.crops :][: options.crops] for k in range(options.vehicles)]
        self._parts = [Crops(train.images[part], train.labels[part]) for part in parts]
        self._model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), seed)
        # All three start from what fixed point can say, so that they start as one.
        self.start = encode_model(read_parameters(self._model))

    def train(self, global_model: Flat, iteration: int) -> LocalModels:
        """Every vehicle's local model after training from the global one."""
        trained = []
        for vehicle, crops in enumerate(self._parts):
            config = TrainingConfig(
                local_epochs=self._options.local_epochs,
                learning_rate=self._options.learning_rate,
                seed=(self._seed * 1000 + iteration) * 1000 + vehicle,
            )
            write_parameters(self._model, global_model)
            train_local(self._model, crops, config, self._device)
            trained.append((read_parameters(self._model), len(crops)))
        return trained

    def accuracy(self, global_model: Flat) -> float:
        """On the held-out crops, in percent."""
        write_parameters(self._model, global_model)
        return 100.0 * evaluate(self._model, self._test, self._device).accuracy

    def run_float32(self, start: Flat) -> Flat:
        """The final model of FedAvg in float32 (McMahan 2017, algorithm 1)."""
        global_model = start
        for iteration in range(self._options.iterations):
            local = self.train(global_model, iteration)
            counts = np.array([count for _, count in local], np.float32)
            weights = counts / counts.sum()
            global_model = np.einsum("k,kd->d", weights, np.stack([flat for flat, _ in local]))
        return global_model

    def run_fixed_point(self) -> Flat:
        """The final model of FedAvg as the chain computes it."""
        global_model = self.start
        for iteration in range(self._options.iterations):
            local = self.train(decode_model(global_model), iteration)
            updates = [
                Update(
                    cid=f"vehicle{vehicle}",
                    address=f"{vehicle:040x}",
                    sample_count=count,
                    values=encode_update(flat, global_model),
                )
                for vehicle, (flat, count) in enumerate(local)
            ]
            global_model = aggregate(
                global_model,
                updates,
                rule="fedavg",
                byzantine=0,
                previous_hash=bytes(32),
                iteration=iteration,
            ).model
        return decode_model(global_model)

    def outcome(self) -> Outcome:
        """Run all three federations."""
        start = decode_model(self.start)
        return Outcome(
            seed=self._seed,
            float32=self.accuracy(self.run_float32(start)),
            fixed_point=self.accuracy(self.run_fixed_point()),
            control=self.accuracy(self.run_float32(np.nextafter(start, np.float32(np.inf)))),
        )


def make_data(folder: Path, train_crops: int, test_crops: int, say: Callable[[str], None]) -> None:
    """Synthesize train/ and test/ below a folder where they are missing."""
    for name, count in (("train", train_crops), ("test", test_crops)):
        if (folder / name).is_dir():
            continue
        say(f"making {count} crops in {folder / name}")
        scratch = folder / f".{name}"
        shutil.rmtree(scratch, ignore_errors=True)
        synthesize(1, 1, scratch, _SYNTH_SEEDS[name], test_crops=count)
        (scratch / "test").rename(folder / name)
        shutil.rmtree(scratch)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's options."""
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("out/experiments/fixed-point"),
        help="folder with train/<class>/*.png and test/<class>/*.png; what is missing is "
        "synthesized there (default: %(default)s)",
    )
    number: dict[str, Any] = {"type": _positive, "metavar": "N"}
    parser.add_argument("--seeds", default=3, **number, help="seeds to repeat over (%(default)s)")
    parser.add_argument("--vehicles", default=5, **number, help="vehicles (%(default)s)")
    parser.add_argument("--crops", default=600, **number, help="crops a vehicle (%(default)s)")
    parser.add_argument("--test-crops", default=2000, **number, help="if made (%(default)s)")
    parser.add_argument("--iterations", default=10, **number, help="iterations (%(default)s)")
    parser.add_argument("--local-epochs", default=2, **number, help="epochs in each (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Run the experiment; 0 where the mean difference is within the tolerance, else 1."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    torch.set_num_threads(1)
    needed = args.vehicles * args.crops
    make_data(args.data, needed, args.test_crops, say)
    train, test = (load_training_crops(args.data / name) for name in ("train", "test"))
    if len(train) < needed:
        say(
            f"{args.data / 'train'} holds {len(train)} crops, {args.vehicles} vehicles need "
            f"{needed}: lower --crops, or name another --data"
        )
        return 2
    outcomes = []
    for seed in range(1, args.seeds + 1):
        started = time.monotonic()
        outcome = Federation(train, test, args, seed).outcome()
        outcomes.append(outcome)
        say(
            f"seed {seed}: float32 {outcome.float32:.2f} %, fixed point "
            f"{outcome.fixed_point:.2f} % ({outcome.difference:+.2f} points), control "
            f"{outcome.control:.2f} % ({outcome.control_difference:+.2f}) in "
            f"{time.monotonic() - started:.0f} s"
        )
    report = summarize(outcomes)
    if args.json:
        print(json.dumps({"test_crops": len(test), **report}))
    else:
        error = report["standard_error"]
        print(
            f"fixed point minus float32: {report['mean_difference']:+.3f} points on average "
            f"(standard error {'unknown' if error is None else f'{error:.3f}'}; control "
            f"{report['mean_control_difference']:+.3f}), over {len(outcomes)} seeds; "
            f"{'within' if report['within_tolerance'] else 'NOT within'} {TOLERANCE} points"
        )
    return 0 if report["within_tolerance"] else 1


def summarize(outcomes: list[Outcome]) -> dict[str, Any]:
    """The seeds' outcomes, and the mean difference with its standard error, in points."""
    differences = [outcome.difference for outcome in outcomes]
    count = len(differences)
    mean = statistics.fmean(differences)
    return {
        "seeds": [
            asdict(outcome)
            | {
                "difference": outcome.difference,
                "control_difference": outcome.control_difference,
            }
            for outcome in outcomes
        ],
        "mean_difference": mean,
        "standard_error": statistics.stdev(differences) / count**0.5 if count > 1 else None,
        "mean_control_difference": statistics.fmean(o.control_difference for o in outcomes),
        "tolerance": TOLERANCE,
        "within_tolerance": abs(mean) <= TOLERANCE,
    }


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
