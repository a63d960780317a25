"""The fuzz campaign: `scripts/enter python tests/fuzz/run.py --inputs 10000000 --json`.

Each target runs in a process of its own: with the mutators alone, which are fast, then under
atheris where it is installed. Crashing inputs are saved and can be replayed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # it is run as a script

from fuzz.targets import TARGETS  # noqa: E402 - the paths above lead to it

ATHERIS_SHARE = 0.1
"""Of a target's inputs, where both engines run: it is guided by coverage, but much slower."""
MAX_RSS_MB = 1_024
"""A target whose process grows beyond this has failed: memory is to be bounded."""


def engines(choice: str) -> list[tuple[str, float]]:
    """Which engines run, each with its share of the inputs."""
    has_atheris = importlib.util.find_spec("atheris") is not None
    if choice == "auto":
        choice = "both" if has_atheris else "mutators"
    if choice == "both":
        return [("mutators", 1 - ATHERIS_SHARE), ("atheris", ATHERIS_SHARE)]
    return [(choice, 1.0)]


def run_one(
    name: str, engine: str, inputs: int, seconds: float, args: argparse.Namespace
) -> dict[str, Any]:
    """Run a worker to its end, showing how far it is; its result."""
    memory = "/dev/shm"  # a file per input: not on a disk where that can be helped
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bift-fuzz-", dir=place) as folder:
        status, log = Path(folder, "status.json"), Path(folder, "log")
        command = [
            sys.executable, str(HERE / "worker.py"), name, "--engine", engine,
            "--inputs", str(inputs), "--seconds", str(seconds), "--seed", str(args.seed),
            "--crashes", str(args.crashes), "--status", str(status),
        ]  # fmt: skip
        result: dict[str, Any] = {"target": name, "engine": engine, "inputs": 0, "crashes": 0}
        with (
            log.open("wb") as out,
            subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                # libFuzzer ends without a clean-up: what the worker leaves goes with the folder.
                env=os.environ | {"TMPDIR": folder},
            ) as worker,
        ):
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.wait(1)
                if status.exists():
                    result.update(json.loads(status.read_text()))
                _show(result, inputs, ended=worker.returncode is not None)
                if worker.returncode is not None:
                    break
        if worker.returncode or not result.get("finished"):
            result["crashes"] += 1
            result["died"] = log.read_text(errors="replace")[-2_000:]
        return result


def _show(result: dict[str, Any], inputs: int, ended: bool) -> None:
    if not ended and not sys.stderr.isatty():
        return
    line = (
        f"{result['target']:>18} {result['engine']:>8}: {result['inputs']:>9,} of {inputs:,} "
        f"inputs, {result['crashes']} crashes, {result.get('seconds', 0):.0f} s, "
        f"{result.get('peak_rss_mb', 0)} MB"
    )
    print(f"\r{line}", end="\n" if ended else "", file=sys.stderr, flush=True)


def campaign(names: list[str], args: argparse.Namespace) -> dict[str, Any]:
    """Run every target under every engine; the summary."""
    began = time.monotonic()
    total = sum(TARGETS[name].share for name in names)
    results = []
    for engine, part in engines(args.engine):
        for name in names:
            share = TARGETS[name].share / total * part
            seconds = max(1.0, began + args.seconds - time.monotonic()) if args.seconds else 0
            inputs = max(1, -int(-args.inputs * share // 1))
            results.append(run_one(name, engine, inputs, seconds, args))
    peak = max(result.get("peak_rss_mb", 0) for result in results)
    counts = {n: sum(r["inputs"] for r in results if r["target"] == n) for n in names}
    return {
        "inputs": sum(counts.values()),
        "targets": counts,
        "by_engine": {
            engine: sum(r["inputs"] for r in results if r["engine"] == engine)
            for engine, _ in engines(args.engine)
        },
        "crashes": sum(result["crashes"] for result in results),
        "seconds": round(time.monotonic() - began, 1),
        "peak_rss_mb": peak,
        "memory_bounded": peak <= MAX_RSS_MB,
        "slowest_ms": max(result.get("slowest_ms", 0) for result in results),
        "deaths": [result["died"] for result in results if "died" in result],
    }


def replay(path: Path) -> int:
    """Run one saved input again; its name begins with the target's."""
    name = path.name.rsplit("-", 1)[0]
    accepted = TARGETS[name].run(path.read_bytes())
    print(f"{name}: {'accepted' if accepted else 'refused'}, no crash")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000, help="in all, over the targets")
    parser.add_argument("--seconds", type=float, default=0, help="stop then; 0: no limit")
    parser.add_argument("--targets", default="all", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--engine", default="auto", choices=("auto", "both", "atheris", "mutators"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--crashes", type=Path, default=Path("out/fuzz"), help="folder")
    parser.add_argument("--replay", type=Path, help="run one saved input again")
    parser.add_argument("--json", action="store_true", help="end with the result as one line")
    args = parser.parse_args()
    if args.replay:
        return replay(args.replay)
    names = list(TARGETS) if args.targets == "all" else args.targets.split(",")
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    result = campaign(names, args)
    if args.json:
        print(json.dumps(result))
    else:
        print(f"{result['inputs']:,} inputs, {result['crashes']} crashes")
    return 1 if result["crashes"] or not result["memory_bounded"] else 0


if __name__ == "__main__":
    sys.exit(main())
