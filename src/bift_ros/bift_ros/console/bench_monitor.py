"""``./bift bench monitor``: what the monitor costs while a fleet is at rest.

Another process speaks for the vehicles, each a DDS participant with a status every three seconds. A
line gives the CPU time that the monitor's process took in one interval, discovery aside, as a share
of one core; and that of a bare listener to the same topics, which is the least that rclpy takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
from rich.console import Console

from bift_ros.console.arguments import positive
from bift_ros.console.errors import CommandError
from bift_ros.fleet.runtimes.domain import ros_environment

SETTLE_SECONDS = 5.0
"""After all vehicles have been found."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench monitor``."""
    parser.add_argument(
        "--vehicles", type=positive, default=30, metavar="N", help="how many (default 30)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=10, metavar="S", help="of an interval (default 10)"
    )
    parser.add_argument(
        "--intervals", type=positive, default=3, metavar="N", help="how many (default 3)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the bench and print it."""
    for result in run(args.vehicles, args.seconds, args.intervals):
        if args.json:
            print(json.dumps(result), flush=True)
        else:
            Console().print("  ".join(f"{key} {value}" for key, value in result.items()))
    return 0


def run(vehicles: int, seconds: int, intervals: int) -> Iterator[dict[str, Any]]:
    """One result for each interval. Raises CommandError where a process ends."""
    with ExitStack() as stack:
        environment = os.environ | stack.enter_context(ros_environment())[0]

        def start(module: str, *arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        load = start("bift_ros.nodes.observer.status_load", str(vehicles))
        monitor = psutil.Process(start("bift_ros.nodes.observer.monitor_process").pid)
        listener = psutil.Process(
            start("bift_ros.nodes.observer.plain_listener", str(vehicles)).pid
        )
        assert load.stdout is not None
        if not load.stdout.readline():
            raise CommandError("the simulated vehicles have ended")
        time.sleep(SETTLE_SECONDS)
        for _ in range(intervals):
            began, spent, least = time.monotonic(), cpu_seconds(monitor), cpu_seconds(listener)
            time.sleep(seconds)
            passed = time.monotonic() - began
            spent, least = cpu_seconds(monitor) - spent, cpu_seconds(listener) - least
            yield {
                "bench": "monitor",
                "vehicles": vehicles,
                "seconds": round(passed, 2),
                "core_percent": round(100 * spent / passed, 2),
                "listener_percent": round(100 * least / passed, 2),
                "ratio": round(spent / least, 2) if least else None,
                "rss_mb": monitor.memory_info().rss >> 20,
            }


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has taken so far."""
    times = process.cpu_times()
    return float(times.user + times.system)
