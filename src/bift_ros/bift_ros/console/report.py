"""`./bift report`: a finished run as a page to read, or as JSON."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bift_ros.consensus.exceptions import ChainError
from bift_ros.console.errors import reporting
from bift_ros.console.output import show
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.reports.page import render
from bift_ros.reports.places import ReportError, RunPlace, find_run
from bift_ros.reports.read_run import read_run
from bift_ros.reports.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.epilog = "docs/report.md tells what is in it."
    parser.add_argument(
        "run", type=Path, metavar="OUT_DIR", help="a demo's folder, or that of a fleet that is down"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the page (OUT_DIR/report.html)"
    )
    output.add_argument("--json", action="store_true", help="print what is in it, write no page")


def main(arguments: argparse.Namespace) -> None:
    """Write the page, and print where it is."""
    output: Path = arguments.output or arguments.run / "report.html"
    with reporting(ReportError, FleetError, ChainError, OSError):
        run = _read(find_run(arguments.run))
        if not arguments.json:
            output.write_text(render(run), encoding="utf-8")
    show(arguments.json, asdict(run), str(output))


def _read(place: RunPlace) -> Run:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading vehicles", total=len(place.vehicles))
        return read_run(place, lambda _: bar.advance(task))
