"""Runs one target in a process of its own, with one engine, and writes down how it went.

`run.py` starts these; a crash is saved and the run goes on, so one bug doesn't hide the next.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is run as a script

_REPORT_EVERY = 0.5
_MAXIMUM_CRASHES = 20
_INSTRUMENTED = [
    "bift_ros.admission",
    "bift_ros.consensus",
    "bift_ros.chain",
    "bift_ros.pofl.files",
    "bift_ros.storage",
    "bift_ros.peer",
    "bift_ros.nodes.vehicle",
]


class Recorder:
    """Counts inputs, saves crashing ones, and keeps a small JSON file up to date."""

    def __init__(
        self, target: Any, count: Callable[[Any, bytes], int], args: argparse.Namespace
    ) -> None:
        self._target, self._count, self._args = target, count, args
        self._began = self._reported = time.monotonic()
        self._seen: set[str] = set()
        self.inputs = self.accepted = self.crashes = 0
        self.slowest = 0.0

    @property
    def done(self) -> bool:
        late = self._args.seconds and time.monotonic() - self._began >= self._args.seconds
        many = len(self._seen) >= _MAXIMUM_CRASHES
        return bool(self.inputs >= self._args.inputs or late or many)

    def run(self, data: bytes) -> None:
        started = time.perf_counter()
        try:
            self.accepted += self._target.run(data)
        except Exception as error:
            self._save(data, error)
        self.slowest = max(self.slowest, time.perf_counter() - started)
        self.inputs += self._count(self._target, data)
        if time.monotonic() - self._reported >= _REPORT_EVERY:
            self.report()

    def report(self, finished: bool = False) -> None:
        self._reported = time.monotonic()
        result = {
            "target": self._args.target,
            "engine": self._args.engine,
            "inputs": self.inputs,
            "accepted": self.accepted,
            "crashes": self.crashes,
            "distinct_crashes": len(self._seen),
            "seconds": round(self._reported - self._began, 1),
            "slowest_ms": round(self.slowest * 1000, 1),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "finished": finished,
        }
        path = Path(self._args.status)
        path.with_suffix(".new").write_text(json.dumps(result))
        path.with_suffix(".new").replace(path)

    def _save(self, data: bytes, error: Exception) -> None:
        """One file for each place that raises; it replays with `run.py --replay`."""
        self.crashes += 1
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}"
        if place in self._seen:
            return
        self._seen.add(place)
        folder = Path(self._args.crashes)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._args.target}-{hashlib.sha256(data).hexdigest()[:12]}"
        (folder / name).write_bytes(data)
        reason = "".join(traceback.format_exception(error))
        (folder / f"{name}.txt").write_text(reason, errors="backslashreplace")


def run_mutators(target: Any, recorder: Recorder, seed: int) -> None:
    """Inputs from the mutators alone: fast, and the same for the same seed."""
    rng = Random(f"{target.name} {seed}")
    for data in target.seeds():
        recorder.run(data)
    while not recorder.done:
        recorder.run(target.make(rng))


def run_atheris(atheris: ModuleType, target: Any, recorder: Recorder, seed: int) -> None:
    """Inputs that libFuzzer picks by coverage and changes by our mutators or its own."""

    def one_input(data: bytes) -> None:
        recorder.run(data)
        if recorder.done:
            recorder.report(finished=True)
            os._exit(0)  # libFuzzer offers no way back

    def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
        rng = Random(seed)
        how = rng.random()
        if how < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        changed = target.mutate(rng, data) if how < 0.8 else target.make(rng)
        return changed[:max_size]

    with tempfile.TemporaryDirectory(prefix="bift-fuzz-") as corpus:
        for number, data in enumerate(target.seeds()):
            Path(corpus, str(number)).write_bytes(data)
        flags = [f"-seed={1 + seed}", "-max_len=8192", "-timeout=120", "-verbosity=0"]
        flags.append(f"-artifact_prefix={recorder._args.crashes}/{target.name}-")
        atheris.Setup([sys.argv[0], *flags, corpus], one_input, custom_mutator=custom_mutator)
        atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--engine", choices=("atheris", "mutators"), required=True)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crashes", required=True)
    parser.add_argument("--status", required=True)
    args = parser.parse_args()
    if args.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=_INSTRUMENTED):
            from fuzz import targets
    else:
        from fuzz import targets
    Path(args.crashes).mkdir(parents=True, exist_ok=True)
    target = targets.TARGETS[args.target]
    recorder = Recorder(target, targets.inputs_in, args)
    if args.engine == "atheris":
        run_atheris(atheris, target, recorder, args.seed)
    else:
        run_mutators(target, recorder, args.seed)
    recorder.report(finished=True)


if __name__ == "__main__":
    main()
