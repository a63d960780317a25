"""Many seeds of one scenario, one process per core."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bift_ros.simulation.run import Result, simulate
from bift_ros.simulation.scenario import Scenario

_SHOWN = 100


def run_seeds(scenario: Scenario, seeds: Sequence[int], processes: int) -> Iterator[Result]:
    """Give each seed's result as it is there, in any order."""
    if processes == 1 or len(seeds) == 1:
        for seed in seeds:
            yield simulate(scenario, seed)
        return
    context = multiprocessing.get_context("spawn")
    jobs = [(scenario, seed) for seed in seeds]
    with context.Pool(min(processes, len(seeds))) as pool:
        yield from pool.imap_unordered(_job, jobs)


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
        "byzantine": scenario.liar_count,
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
