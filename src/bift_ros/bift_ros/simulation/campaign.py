"""Many seeds of one scenario, one process per core."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bift_ros.simulation.results import Result
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import Scenario

_SHOWN = 100


def run_seeds(
    scenario: Scenario, seeds: Sequence[int], processes: int, package: Path | None = None
) -> Iterator[Result]:
    """Give each seed's result as it is there, in any order.

    `package` is a folder with the package that the processes are to run (see `compilation`).
    """
    context = multiprocessing.get_context("spawn")
    jobs = [(scenario, seed) for seed in seeds]
    with _first_on_path(package):  # a new process takes over its parent's path
        pool = context.Pool(min(processes, len(seeds)))
    with pool:
        yield from pool.imap_unordered(_job, jobs)


@contextmanager
def _first_on_path(package: Path | None) -> Iterator[None]:
    before = list(sys.path)
    if package is not None:
        sys.path.insert(0, str(package))
    try:
        yield
    finally:
        sys.path[:] = before


def _job(job: tuple[Scenario, int]) -> Result:
    return simulate(*job)


def summary(scenario: Scenario, results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """What `./bift simulate --json` prints."""
    failing = sorted(r.seed for r in results if r.violations or not r.completed)
    broken = [
        {"seed": result.seed, **asdict(violation)}
        for result in sorted(results, key=lambda r: r.seed)
        for violation in result.violations
    ]
    return {
        "vehicles": scenario.vehicles,
        "byzantine": scenario.byzantine_count,
        "iterations": scenario.iterations,
        "faults": list(scenario.faults),
        "seeds": len(results),
        "violations": len(broken),
        "completed": sum(result.completed for result in results),
        "seconds": round(seconds, 3),
        "failing_seeds": failing,
        "broken": broken[:_SHOWN],
        "cpu_seconds_per_seed": _mean([result.cpu_seconds for result in results]),
        "virtual_seconds_per_seed": _mean([result.virtual_ms / 1000 for result in results]),
        "per_vehicle": {
            name: _mean([getattr(result, name) for result in results])
            for name in ("messages", "bytes", "signatures", "blocks_checked", "pofl_recomputed")
        },
    }


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else 0.0
