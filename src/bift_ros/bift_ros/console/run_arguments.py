"""Options of the commands that run a fleet on this host to its task's end: demo and chaos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Protocol

from bift_ros.console.arguments import positive, seed


class RunDefaults(Protocol):
    """What a run is like where nothing else is asked for."""

    @property
    def iterations(self) -> int:
        """How many."""

    @property
    def frames(self) -> int:
        """Of each vehicle's bag."""

    @property
    def local_epochs(self) -> int:
        """Of each training."""

    @property
    def out(self) -> Path:
        """The folder for all that comes of it."""


def add_run_arguments(parser: argparse.ArgumentParser, defaults: RunDefaults, seeded: str) -> None:
    """All that such commands have in common but `--vehicles`; `seeded`: what the seed is of."""
    parser.add_argument(
        "--iterations", type=positive, default=defaults.iterations, help="default: %(default)s"
    )
    parser.add_argument(
        "--bags", type=Path, help="folder of `bift bag synth|from-images` (default: made anew)"
    )
    parser.add_argument("--seed", type=seed, default=0, help=f"of {seeded}")
    parser.add_argument(
        "--frames", type=positive, default=defaults.frames, help="per vehicle (%(default)s)"
    )
    parser.add_argument(
        "--local-epochs", type=positive, default=defaults.local_epochs, help="E (%(default)s)"
    )
    parser.add_argument("--out", type=Path, default=defaults.out, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print report.json at the end")


def run_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, as `DemoOptions` and `ChaosOptions` name it."""
    names = ("vehicles", "iterations", "bags", "seed", "frames", "local_epochs", "out")
    return {name: getattr(arguments, name) for name in names}
