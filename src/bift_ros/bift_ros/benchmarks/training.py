"""How fast a federation trains in one batch, beside a loop over its vehicles.

The loop calls `train_local` for one vehicle after another. On the CPU it has one thread of torch or
one for each core, whichever a trial finds faster. Both take turns and the best turn of each counts.

Peak memory is what a turn needs on top of what was there before it: torch's own count on a GPU, the
process's resident set on the CPU, where memory that torch kept from an earlier turn isn't seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bift_ros.benchmarks import memory
from bift_ros.learning.batched import train_batched
from bift_ros.learning.data import Crops
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, TrainingConfig
from bift_ros.learning.models import build_model, read_parameters, write_parameters
from bift_ros.learning.training import choose_device, train_local
from bift_ros.perception.classes import CLASSES

TURNS = 5
_TRIAL_VEHICLES = 2
_TRIAL_TURNS = 3
_CONFIG = TrainingConfig(local_epochs=1)


@dataclass
class _Contender:
    name: str
    threads: int
    training: Callable[[], None]
    seconds: float = float("inf")
    peak_mib: float = 0.0


def devices_of(choice: str) -> list[str]:
    """`auto` is the CPU, and the GPU where there is one. Raises ValueError for a missing device."""
    if choice == "auto":
        return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return [str(choose_device(choice, memory_mb=2**20))]


def run(
    vehicles: int,
    crops: int,
    devices: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[str, Any]]:
    """One result for each device: one local epoch of every vehicle, from the same start.

    Keys: ``device``, ``name``, ``vehicles``, ``crops`` (a vehicle's), ``parameters``; of the loop
    and of the batch ``…_threads``, ``…_s``, ``…_crops_per_s`` and ``…_peak_mib``; ``ratio`` (the
    loop's time over the batch's).
    """
    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    try:
        for device in devices:
            yield _run_device(vehicles, crops, torch.device(device), say)
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)  # else all that comes later in this process lacks them


def _run_device(
    vehicles: int, crops: int, device: torch.device, say: Callable[[str], None]
) -> dict[str, Any]:
    model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES))
    start = read_parameters(model)
    data = [_noise(crops, seed) for seed in range(vehicles)]

    def loop(vehicles: int) -> None:
        for seed, own in enumerate(data[:vehicles]):
            write_parameters(model, start)
            train_local(model, own, replace(_CONFIG, seed=seed), device)
            read_parameters(model)

    def batch() -> None:
        train_batched(model, data, start, _CONFIG, range(vehicles), device)

    cores = len(os.sched_getaffinity(0))
    trials = [
        _Contender("loop", threads, lambda: loop(_TRIAL_VEHICLES))
        for threads in ((1, cores) if device.type == "cpu" and cores > 1 else (1,))
    ]
    _take_turns(trials, _TRIAL_TURNS, device, say)
    threads = min(trials, key=lambda trial: trial.seconds).threads
    looped = _Contender("loop", threads, lambda: loop(vehicles))
    batched = _Contender("batch", cores, batch)
    _take_turns([looped, batched], TURNS, device, say)
    return {
        "device": str(device),
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "vehicles": vehicles,
        "crops": crops,
        "parameters": start.size,
        **_figures(looped, vehicles * crops),
        **_figures(batched, vehicles * crops),
        "ratio": round(looped.seconds / batched.seconds, 2),
    }


def _take_turns(
    contenders: Sequence[_Contender], turns: int, device: torch.device, say: Callable[[str], None]
) -> None:
    for turn in range(turns):
        for contender in contenders:
            threads = contender.threads
            say(f"{device}, turn {turn + 1} of {turns}: {contender.name}, threads: {threads}")
            torch.set_num_threads(threads)
            seconds, peak = _measure(contender.training, device)
            contender.seconds = min(contender.seconds, seconds)
            contender.peak_mib = max(contender.peak_mib, peak)


def _figures(contender: _Contender, crops: int) -> dict[str, Any]:
    name = contender.name
    return {
        f"{name}_threads": contender.threads,
        f"{name}_s": round(contender.seconds, 4),
        f"{name}_crops_per_s": round(crops / contender.seconds),
        f"{name}_peak_mib": round(contender.peak_mib, 1),
    }


def _noise(count: int, seed: int) -> Crops:
    random = np.random.default_rng(seed)
    images = torch.from_numpy(random.integers(0, 256, (count, 32, 32, 3), np.uint8))
    labels = torch.from_numpy(random.integers(0, len(CLASSES), count))
    return Crops(images.permute(0, 3, 1, 2), labels)


def _measure(training: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Seconds and peak MiB of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held: float = torch.cuda.memory_allocated(device)
    else:
        held = memory.reset_peak()
    begun = time.perf_counter()
    training()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else memory.peak()
    return seconds, max(0.0, peak - held) / 2**20


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "CPU"
