"""`./bift bag …`: make and inspect the bags that vehicles replay."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bift_ros.console.arguments import Parser
from bift_ros.perception.bag_info import BagInfo, bag_info
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASSES
from bift_ros.synthesis import recording
from bift_ros.synthesis.from_images import from_images, parse_classes
from bift_ros.synthesis.synth import synthesize

SYNTH = """\
Draw street scenes as a windscreen camera sees them (640×480 JPEG, 10 Hz, one to three traffic
lights each, in all weathers) and write one rosbag2 bag per vehicle, and a held-out test set of
32×32 crops drawn from other seeds:

    OUT/vehicle_00/   camera and labels, MCAP      OUT/test/<class>/*.png

A frame gives two crops on average. The same seed gives the same bytes."""

SYNTH_EXAMPLES = """\
examples:
  bift bag synth --vehicles 5 --frames 1500 --out bags --seed 1
  bift bag synth --vehicles 30 --frames 250 --out skewed --seed 1 --skew 0.5"""

FROM_IMAGES = f"""\
Make the same bags from real pictures of traffic lights, one subfolder a class. Each picture is
pasted into a painted street as a labelled region, once, in one vehicle's bag.

Classes: {", ".join(CLASSES)}."""

FROM_IMAGES_EXAMPLES = """\
examples:
  bift bag from-images photos --vehicles 5 --out bags
  bift bag from-images photos --vehicles 5 --out bags --classes red=red_circle,go=green_circle
  bift bag from-images photos/train --test photos/test --vehicles 5 --out bags"""

INFO = """\
Show a bag's topics, length and labels, and whether a vehicle can learn from it. A half-written
bag is read as far as it goes."""


def add_arguments(parser: Parser) -> None:
    """Make the sub-commands synth, from-images and info."""
    parser.take_actions("COMMAND")
    raw = argparse.RawDescriptionHelpFormatter

    synth = parser.add_action(
        "synth", "draw bags of street scenes", description=SYNTH, epilog=SYNTH_EXAMPLES,
        formatter_class=raw,
    )  # fmt: skip
    synth.add_argument("--vehicles", type=int, default=5, metavar="N", help="bags (default 5)")
    synth.add_argument(
        "--frames", type=int, default=1500, metavar="F", help="frames in each bag (default 1500)"
    )
    synth.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    synth.add_argument("--seed", type=int, default=1, metavar="S", help="default 1")
    synth.add_argument(
        "--skew", type=float, metavar="ALPHA",
        help="draw each vehicle's class mix from Dirichlet(ALPHA): 0.1 leaves it few classes, "
        "100 almost all alike (default: all alike)",
    )  # fmt: skip
    synth.add_argument(
        "--test-crops", type=int, default=2000, metavar="T",
        help="size of the test set (default 2000; 0 for none)",
    )  # fmt: skip

    images = parser.add_action(
        "from-images", "make bags of real pictures", description=FROM_IMAGES,
        epilog=FROM_IMAGES_EXAMPLES, formatter_class=raw,
    )  # fmt: skip
    images.add_argument("folder", type=Path, metavar="DIR", help="holds one subfolder a class")
    images.add_argument("--vehicles", type=int, default=5, metavar="N", help="bags (default 5)")
    images.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    images.add_argument(
        "--classes", default="", metavar="FOLDER=CLASS,…",
        help="which class a subfolder is, where its name does not say; others are left out",
    )  # fmt: skip
    images.add_argument(
        "--test", type=Path, metavar="DIR",
        help="pictures of the test set, same shape (default: 15%% of each class are held out)",
    )  # fmt: skip
    images.add_argument("--seed", type=int, default=0, metavar="S", help="default 0")
    for make in (synth, images):
        make.add_json("one JSON object, no progress")

    info = parser.add_action("info", "show what a bag holds", description=INFO)
    info.add_argument("bag", type=Path, metavar="BAG", help="a bag's folder, or its .mcap file")
    info.add_json("one JSON object, for machines")


def main(args: argparse.Namespace) -> int:
    """Run a sub-command; 0 when done, 1 where `info` finds problems, 2 on bad input."""
    try:
        if args.action == "synth":
            with _progress("Drawing frames", args.json) as advance:
                done = synthesize(
                    args.vehicles, args.frames, args.out, args.seed, args.skew, args.test_crops,
                    advance,
                )  # fmt: skip
            _print_recorded(done, args.json)
        elif args.action == "from-images":
            classes = parse_classes(args.classes)
            with _progress("Placing pictures", args.json) as advance:
                done = from_images(
                    args.folder, args.vehicles, args.out, classes, args.test, args.seed, advance
                )
            _print_recorded(done, args.json)
        else:
            info = bag_info(args.bag)
            if args.json:
                print(json.dumps(dataclasses.asdict(info)))
            else:
                _print_info(info)
            return 1 if info.problems else 0
    except (BagError, ValueError, OSError) as error:
        print(f"bift bag {args.action}: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[recording.Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print_recorded(done: recording.Recorded, as_json: bool) -> None:
    if as_json:
        print(json.dumps(dataclasses.asdict(done), default=str))
        return
    table = Table("bag", "frames", "labels", "classes")
    for path, frames, labels in zip(done.bags, done.frames, done.labels, strict=True):
        mix = " ".join(f"{name}:{number}" for name, number in labels.items())
        table.add_row(str(path), str(frames), str(sum(labels.values())), mix)
    if done.test is not None:
        mix = " ".join(f"{name}:{number}" for name, number in done.test_crops.items())
        table.add_row(str(done.test), "", str(sum(done.test_crops.values())), mix)
    Console().print(table)
    for reason in done.skipped:
        print(f"skipped {reason}", file=sys.stderr)


def _print_info(info: BagInfo) -> None:
    start = datetime.fromtimestamp(info.start_ns / 1e9, timezone.utc)
    state = " (half-written: what was readable)" if info.recovered else ""
    console = Console()
    console.print(f"{info.path}{state}: {info.duration_s:.1f} s from {start:%Y-%m-%d %H:%M:%S} UTC")
    topics = Table("topic", "type", "messages")
    for topic, (kind, number) in info.messages.items():
        topics.add_row(topic, kind, str(number))
    console.print(topics)
    labels = Table("class", "labels")
    for name, number in (info.labels | info.unknown_classes).items():
        labels.add_row(name, str(number))
    console.print(labels)
    for problem in info.problems:
        console.print(f"problem: {problem}", style="red", markup=False)
