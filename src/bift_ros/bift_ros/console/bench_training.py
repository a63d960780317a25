"""``./bift bench training``: a federation's local training in one batch, beside a loop.

What is measured, and how, is in `bift_ros.benchmarks.training`.
"""

from __future__ import annotations

import argparse

from rich.console import Console

from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import CommandError
from bift_ros.console.output import figures, print_lines


def add_arguments(parser: Parser) -> None:
    """The options of ``bench training``."""
    parser.add_argument(
        "--vehicles", type=positive, default=30, metavar="N", help="vehicles (default 30)"
    )
    parser.add_argument(
        "--crops", type=positive, default=500, metavar="N", help="crops a vehicle (default 500)"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, or auto: both where there is a GPU (default)"
    )
    parser.add_json("one JSON object a line")


def main(args: argparse.Namespace) -> None:
    """Run the bench and print it."""
    from bift_ros.benchmarks import training  # imports torch: seconds, for this bench alone

    try:
        devices = training.devices_of(args.device)
    except (ValueError, RuntimeError) as error:
        raise CommandError(f"bench training: --device: {error}") from error
    rows = []
    with Console(stderr=True).status("") as status:
        for result in training.run(args.vehicles, args.crops, devices, status.update):
            if args.json:
                print_lines([result], as_json=True)
            rows += [
                (
                    result["device"],
                    name,
                    result[f"{name}_threads"],
                    f"{result[f'{name}_s']:.2f}",
                    f"{result[f'{name}_crops_per_s']:,}",
                    f"{result[f'{name}_peak_mib']:.0f}",
                    ratio,
                )
                for name, ratio in (("loop", ""), ("batch", f"{result['ratio']:.1f}×"))
            ]
    if not args.json:
        table = figures(
            f"one local epoch of {args.vehicles} vehicles, {args.crops} crops each",
            ("device", "training", "threads", "seconds", "crops/s", "peak", "ratio"),
            rows,
            left=("device", "training"),
            caption="ratio: the loop's time over the batch's; peak: MiB on top of what was there",
        )
        Console().print(table)
