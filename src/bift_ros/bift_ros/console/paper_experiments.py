"""`./bift experiment table7|fig5|…|fig12|defences`: the paper's section VI-B on this code.

docs/experiments.md says what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bift_ros.attacks.registry import ATTACKS
from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import CommandError
from bift_ros.experiments.datasets import Dataset, load_images, load_synthetic
from bift_ros.experiments.federation import NO_ATTACK, Settings, State
from bift_ros.experiments.figures import draw
from bift_ros.experiments.plan import FIGURES, PRESETS, Case, Choice, Scale, cases, runs_of
from bift_ros.experiments.reproduction import reproduce, surroundings
from bift_ros.experiments.results import label, split_label, tables_of, write_files
from bift_ros.pofl.aggregate import RULES
from bift_ros.synthesis.from_images import parse_classes

_SCALE_OPTIONS = ("vehicles", "crops", "test_crops", "local_epochs", "iterations", "seeds")
_ROOT = Path("out/experiments")


def add_arguments(parser: Parser, experiment: str) -> None:
    """The options of one table or figure."""
    parser.add_argument("--preset", choices=PRESETS, default="quick", help="how much (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    _add_places(parser, experiment)
    preset = "default: the preset's"
    for name in _SCALE_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=positive, metavar="N", help=preset)
    parser.add_argument(
        "--malicious",
        type=_share,
        nargs="+",
        default=(),
        metavar="SHARE",
        help="of malicious vehicles, such as 0.3; several are compared",
    )
    parser.add_argument(
        "--alpha",
        type=_alpha,
        nargs="+",
        default=(None,),
        metavar="A",
        help="how crops are dealt: iid (default), or the concentration of a Dirichlet label split, "
        "such as 0.1, 0.5 or 1; several are compared",
    )
    if experiment not in FIGURES:
        several: dict[str, Any] = {"nargs": "+", "default": (), "metavar": "NAME"}
        known = [NO_ATTACK, *ATTACKS]
        parser.add_argument("--attacks", choices=known, help=", ".join(known), **several)
        parser.add_argument("--rules", choices=RULES, help=", ".join(RULES), **several)
    parser.add_json("the rows as JSON on stdout")


def _add_places(parser: Parser, experiment: str) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a folder with train/CLASS/* and test/CLASS/* images of any size (default: synthetic "
        "crops, made once)",
    )
    parser.add_argument(
        "--classes",
        type=_classes,
        default={},
        metavar="FOLDER=CLASS,…",
        help="for folders of --data that aren't named after a class",
    )
    parser.add_argument(
        "--out", type=Path, default=_ROOT / experiment, metavar="DIR", help="results (%(default)s)"
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=_ROOT / "runs",
        metavar="DIR",
        help="where each run is kept after every iteration; a run that was cut off, or that "
        "another table has made, is gone on with (%(default)s)",
    )


def main(args: argparse.Namespace) -> int:
    """Run what is missing, write the results and show them."""
    experiment: str = args.action
    chosen = {name: getattr(args, name) for name in _SCALE_OPTIONS if getattr(args, name)}
    scale = replace(PRESETS[args.preset], **chosen)
    asked = cases(experiment, _choice(args))
    _check(asked, scale)
    console = Console(stderr=True)
    started = time.monotonic()
    try:
        around = surroundings(args.device)
        data = _load(args, scale, console)
        runs = runs_of(asked, scale, data.digest)
        with _Progress(runs, scale.iterations, console) as progress:
            rows = reproduce(
                experiment, runs, scale.iterations, data, args.runs, args.device, progress.report
            )
    except (ValueError, RuntimeError) as error:
        raise CommandError(f"experiment {experiment}: {error}") from error
    header = _header(args, scale, data) | around
    header["seconds"] = round(time.monotonic() - started, 1)
    write_files(args.out, experiment, header, rows)
    if experiment in FIGURES:
        draw(experiment, rows, data.class_counts(), args.out / f"{experiment}.png")
    if args.json:
        print(json.dumps(rows))
    else:
        _show(experiment, rows, args.out)
    return 0


def _check(asked: list[Case], scale: Scale) -> None:
    """Raise CommandError where a share of the vehicles is no vehicle."""
    for case in asked:
        settings = case.settings(1, scale, data="")
        if case.malicious and not settings.attackers:
            raise CommandError(
                f"{case.malicious:.0%} of {scale.vehicles} vehicles is not one attacker: raise "
                "--malicious or --vehicles"
            )


def _choice(args: argparse.Namespace) -> Choice:
    attacks, rules = getattr(args, "attacks", ()), getattr(args, "rules", ())
    return Choice(attacks, rules, args.malicious, args.alpha)


def _load(args: argparse.Namespace, scale: Scale, console: Console) -> Dataset:
    if args.data is None:
        train = scale.vehicles * scale.crops
        folder = _ROOT / "synthetic" / f"{train}-{scale.test_crops}"
        return load_synthetic(folder, train, scale.test_crops, console.print)
    data = load_images(args.data, args.classes)
    for path in data.unreadable:
        console.print(f"bift: {path} is no readable image; left out", soft_wrap=True)
    return data


class _Progress:
    """Shows how far the runs are, and a line for each that is done."""

    def __init__(
        self, runs: list[tuple[Case, Settings]], iterations: int, console: Console
    ) -> None:
        self._done = {settings: 0 for _, settings in runs}
        self._iterations = iterations
        self._console = console
        self._status = console.status("", refresh_per_second=2)
        self._trained, self._started = 0, time.monotonic()

    def __enter__(self) -> _Progress:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def report(self, settings: Settings, state: State, new: bool) -> None:
        """A run is kept so far; ``new`` where its last iteration was just made."""
        self._trained += new
        self._done[settings] = min(state.iterations, self._iterations)
        text = self._text()
        self._status.update(text)
        if self._done[settings] == self._iterations:
            accuracy = state.accuracy[self._iterations - 1]
            self._console.print(f"{_title(settings)}: {accuracy:.1f} %; {text}", soft_wrap=True)

    def _text(self) -> str:
        finished = sum(count == self._iterations for count in self._done.values())
        text = f"{finished} of {len(self._done)} runs done"
        if not self._trained:
            return text
        left = len(self._done) * self._iterations - sum(self._done.values())
        minutes = left * (time.monotonic() - self._started) / self._trained / 60
        return f"{text}, about {minutes:.0f} min to go"


def _title(settings: Settings) -> str:
    attack = label(settings.attack)
    if settings.malicious:
        attack += f" by {settings.malicious:.0%}, {settings.knowledge} knowledge"
    if settings.late:
        attack = f"{settings.malicious:.0%} too late"
    return f"{attack}, {label(settings.rule)}, {split_label(settings.alpha)}, seed {settings.seed}"


def _header(args: argparse.Namespace, scale: Scale, data: Dataset) -> dict[str, Any]:
    return {
        "experiment": args.action,
        "command": shlex.join(["./bift", *sys.argv[1:]]),
        "preset": args.preset,
        "scale": asdict(scale),
        "seeds": list(range(1, scale.seeds + 1)),
        "accuracy_unit": "percent of the test crops, after the last iteration",
        "data": str(args.data or "synthetic crops"),
        "data_digest": data.digest,
        "classes": data.class_counts(),
        "unreadable": list(data.unreadable),
    }


def _show(experiment: str, rows: list[dict[str, Any]], folder: Path) -> None:
    console = Console()
    for table in tables_of(experiment, rows):
        shown = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, padding=0)
        shown.add_column("")
        for column in table.columns[1:]:
            shown.add_column(column, justify="right", min_width=len("paper 92.3"))
        for cells in table.rows:
            shown.add_row(*cells)
        console.print(shown)
    console.print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 0.5")
    return value


def _alpha(text: str) -> float | None:
    if text == "iid":
        return None
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is neither iid nor above 0")
    return value


def _classes(text: str) -> dict[str, str]:
    try:
        return parse_classes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
