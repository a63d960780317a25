"""``./bift bench monitor``: what the monitor costs while a fleet is at rest.

Another process speaks for the vehicles, each a DDS participant with a status every three seconds. A
line gives the CPU time that the monitor's process took in one interval, discovery aside, as a share
of one core; and that of a bare listener to the same topics, which is the least that rclpy takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil

from bift_ros.fleet.runtimes.domain import ros_environment

SETTLE_SECONDS = 5.0
"""After all vehicles have been found."""


class MonitorBenchError(Exception):
    """What the bench needs has ended."""


def run(vehicles: int, seconds: int, intervals: int) -> Iterator[dict[str, Any]]:
    """One result for each interval. Raises MonitorBenchError where a process ends."""
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

        load = start("bift_ros.benchmarks.status_load", str(vehicles))
        monitor = psutil.Process(start("bift_ros.nodes.observer.monitor_node").pid)
        listener = psutil.Process(start("bift_ros.benchmarks.plain_listener", str(vehicles)).pid)
        assert load.stdout is not None
        if not load.stdout.readline():
            raise MonitorBenchError("the simulated vehicles have ended")
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
