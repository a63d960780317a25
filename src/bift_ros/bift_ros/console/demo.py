"""`./bift demo`: the main job on this machine."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from bift_ros.attacks.registry import ATTACKS
from bift_ros.consensus.genesis import MODES
from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.console.run_arguments import (
    FLEET_ERRORS,
    add_run_arguments,
    bags_of_run,
    settings_of_run,
)
from bift_ros.fleet.runs.measured_run import describe, run_to_report
from bift_ros.fleet.runs.signals import signals_as_interrupt
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.pofl.aggregate import RULES
from bift_ros.storage.kubo.daemon import find_ipfs

STORAGES = ("embedded", "kubo")


def add_arguments(parser: Parser) -> None:
    """The options, which are also variables of `make demo`."""
    parser.add_argument(
        "--vehicles", type=positive, help="how many (default: 5, or one for each bag)"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="bift",
        help="consensus mode: commit and reveal, or as in the paper (default: %(default)s)",
    )
    parser.add_argument(
        "--rule",
        choices=RULES,
        help="aggregation (default: robust; in the consensus mode paper: mixed_paper)",
    )
    parser.add_argument(
        "--encrypt", action="store_true", help="encrypt models and updates for the members"
    )
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="embedded",
        help="each vehicle's store; kubo is an IPFS daemon, `make kubo` (default: %(default)s)",
    )
    parser.add_argument(
        "--malicious", metavar="NAME", choices=ATTACKS, help=f"attack it: {', '.join(ATTACKS)}"
    )
    parser.add_argument(
        "--attackers", type=positive, default=1, help="with --malicious: how many (%(default)s)"
    )
    parser.add_argument("--device", type=_device, default="auto", help="auto, cpu, cuda, cuda:N")
    add_run_arguments(parser, Path("out/demo"), "bags, models and training")
    parser.add_argument(
        "--dashboard",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="show the fleet in the browser meanwhile, on this machine alone",
    )


@reporting(*FLEET_ERRORS)
def main(arguments: argparse.Namespace) -> int:
    """Run; 0 where all vehicles agree and every chain verifies."""
    console = Console(stderr=arguments.json)
    folder = FleetFolder(arguments.out)
    if arguments.storage == "kubo":
        find_ipfs()
    bags, test_set = bags_of_run(arguments, console)
    describe(folder, "demo", bags, _settings(arguments))
    runtime = ProcessRuntime(folder, attached=True)
    with signals_as_interrupt():
        result = run_to_report(folder, runtime, test_set, console, dashboard=arguments.dashboard)
    if arguments.json:
        print(json.dumps(result))
    sound = result["agreed"] and all(v is True for v in result["verified"].values())
    return 0 if sound else 1


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options say, as the file of a fleet has it."""
    settings = settings_of_run(arguments) | {
        "defaults": {"storage": arguments.storage, "device": arguments.device},
        "policy": {"mode": arguments.mode, "encrypt_models": arguments.encrypt},
    }
    if arguments.rule is not None:
        settings["policy"]["rule"] = arguments.rule
    if arguments.malicious is not None:
        settings["malicious"] = {"attack": arguments.malicious, "count": arguments.attackers}
    return settings


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda and cuda:N")
    return text
