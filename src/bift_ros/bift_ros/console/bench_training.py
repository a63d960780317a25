"""``./bift bench training``: a federation's local training in one batch, beside a loop.

What is measured, and how, is in `bift_ros.benchmarks.training`.
"""

from __future__ import annotations

import argparse
import json

from rich import box
from rich.console import Console
from rich.table import Table

from bift_ros.console.arguments import positive
from bift_ros.console.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the bench and print it."""
    from bift_ros.benchmarks import training  # imports torch: seconds, for this bench alone

    try:
        devices = training.devices_of(args.device)
    except (ValueError, RuntimeError) as error:
        raise CommandError(f"bench training: --device: {error}") from error
    table = Table(
        title=f"one local epoch of {args.vehicles} vehicles, {args.crops} crops each",
        caption="ratio: the loop's time over the batch's; peak: MiB on top of what was there",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in ("device", "training", "threads", "seconds", "crops/s", "peak", "ratio"):
        left = column in ("device", "training")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    with Console(stderr=True).status("") as status:
        for result in training.run(args.vehicles, args.crops, devices, status.update):
            if args.json:
                print(json.dumps(result), flush=True)
            for name, ratio in (("loop", ""), ("batch", f"{result['ratio']:.1f}×")):
                table.add_row(
                    result["device"],
                    name,
                    str(result[f"{name}_threads"]),
                    f"{result[f'{name}_s']:.2f}",
                    f"{result[f'{name}_crops_per_s']:,}",
                    f"{result[f'{name}_peak_mib']:.0f}",
                    ratio,
                )
    if not args.json:
        Console().print(table)
    return 0
