"""``./bift bench aggregation``: our PoFL rules beside ByzFL's and Flower's, on the same updates.

All run in one process on the same values: ours on int16 rows, theirs on the same numbers as
float32. Ours is timed to the new int32 global model, theirs to the aggregated update. ByzFL takes a
NumPy matrix or a Torch tensor and is much faster on one or the other, by rule: both are timed and
the faster counts. Contenders take turns, and the best of their turns counts.

Only PoFL also selects contributors, which costs the distances again for the rules that don't need
them. So ``ours_ms`` is the rule alone, like its peer's, and ``aggregate_ms`` is the whole of
`bift_ros.pofl.aggregate.aggregate`, as a miner calls it.

``peak_over_input`` is (int16 inputs + the most memory allocated on top of them) / inputs, from a
run of its own under tracemalloc, which sees all NumPy arrays.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.aggregate import Update, aggregate
from bift_ros.pofl.codec import MODEL_EXPONENT, UPDATE_EXPONENT, Int32Array
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES

Contender = Callable[[], object]

MAX_TURNS = 7
TURNS_SECONDS = 4.0
"""A contender that has run this long in all gets no further turn (Flower's Bulyan has one)."""

SETTLE_SECONDS = 0.3
"""Pause before each turn: OpenMP's and OpenBLAS's idle threads spin for a while after a call, and
would slow whoever comes next."""

CALLS_A_TURN = 3
"""The first call of a turn pays for caches and a clock that the pause left cold."""

SEED = 20_240_501


def run(vehicles: int, byzantine: int, parameters: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One result for each model size, rule and peer; times in milliseconds.

    Keys: ``rule``, ``parameters``, ``ours_ms``, ``aggregate_ms``, ``peer`` (``byzfl``, ``flower``,
    or None where no peer has the rule for these numbers), ``peer_input``, ``peer_ms``, ``ratio``
    (peer's time over ours), ``peak_over_input``.
    """
    for size in parameters:
        yield from _run_size(vehicles, byzantine, size)


def _run_size(vehicles: int, byzantine: int, size: int) -> Iterator[dict[str, Any]]:
    updates, start = _inputs(vehicles, byzantine, size)
    floats = np.array([update.values for update in updates], np.float32) / 2**UPDATE_EXPONENT
    counts = [update.sample_count for update in updates]
    input_bytes = sum(update.values.nbytes for update in updates)

    def ours(rule: str) -> Int32Array:
        round_ = Round(
            start,
            [update.values for update in updates],
            counts,
            byzantine,
            MODEL_EXPONENT - UPDATE_EXPONENT,
        )
        return MODEL_RULES[rule].model(round_)

    def whole(rule: str) -> object:
        return aggregate(
            start, updates, rule=rule, byzantine=byzantine, seed=bytes(32), iteration=1
        )

    for rule in (*MODEL_RULES, "mixed"):
        alone = (lambda rule=rule: ours(rule)) if rule in MODEL_RULES else None
        peers = _peers(rule, floats, counts, byzantine)
        contenders: dict[tuple[str, str], Contender] = {
            ("ours", "whole"): lambda rule=rule: whole(rule),  # type: ignore[misc]
            **peers,
        }
        if alone:
            contenders["ours", "rule"] = alone
        best = _take_turns(contenders)
        ours_ms = best.get(("ours", "rule"), best["ours", "whole"])
        result = {"rule": rule, "parameters": size, "ours_ms": round(ours_ms, 4)}
        peak = _peak_bytes(alone or contenders["ours", "whole"])
        ending = {
            "aggregate_ms": round(best["ours", "whole"], 4),
            "peak_over_input": round((input_bytes + peak) / input_bytes, 3),
        }
        names = sorted({name for name, _ in peers})
        if not names:
            nobody = {"peer": None, "peer_input": None, "peer_ms": None, "ratio": None}
            yield {**result, **nobody, **ending}
        for name in names:
            peer_ms, kind = min((best[key], key[1]) for key in peers if key[0] == name)
            yield (
                result
                | {"peer": name, "peer_input": kind, "peer_ms": round(peer_ms, 4)}
                | {"ratio": round(peer_ms / ours_ms, 2)}
                | ending
            )


def _inputs(vehicles: int, byzantine: int, size: int) -> tuple[list[Update], Int32Array]:
    """Updates as trained ones look: a common step, noise, and the hostile ones far off."""
    rng = np.random.default_rng(SEED)
    step = rng.normal(0, 100, size).astype(np.float32)
    updates = []
    for number in range(vehicles):
        row = step + rng.standard_normal(size, np.float32) * 200
        if number < byzantine:
            row *= -4
        values = np.clip(np.rint(row), -(2**15), 2**15 - 1).astype(np.int16)
        count = int(rng.integers(100, 1000))
        updates.append(Update(f"bench{number:06d}", f"{number:040x}", count, values))
    return updates, rng.integers(-(2**20), 2**20, size).astype(np.int32)


def _peers(
    rule: str, floats: npt.NDArray[np.float32], counts: Sequence[int], f: int
) -> dict[tuple[str, str], Contender]:
    """The peers that have a rule and accept n and f, by (name, kind of input)."""
    import byzfl
    import torch
    from flwr.server.strategy import aggregate as flower

    n = len(floats)
    layers = [([row], count) for row, count in zip(floats, counts, strict=True)]
    theirs = {"krum": byzfl.Krum, "multi_krum": byzfl.MultiKrum, "trimmed_mean": byzfl.TrMean}
    peers: dict[tuple[str, str], Contender] = {}
    if rule in theirs and n > 2 * f:
        byzfl_rule = theirs[rule](f)
        tensor = torch.from_numpy(floats)
        peers["byzfl", "numpy"] = lambda: byzfl_rule(floats)
        peers["byzfl", "torch"] = lambda: byzfl_rule(tensor)
    flowers: dict[str, Contender] = {
        "fedavg": lambda: flower.aggregate(layers),
        "krum": lambda: flower.aggregate_krum(layers, f, 0),
        "multi_krum": lambda: flower.aggregate_krum(layers, f, n - f),
        # Flower cuts int(proportion · n): the half keeps rounding from losing one.
        "trimmed_mean": lambda: flower.aggregate_trimmed_avg(layers, (f + 0.5) / n),
        "bulyan": lambda: flower.aggregate_bulyan(
            list(layers), f, flower.aggregate_krum, to_keep=0
        ),
    }
    accepted = {"trimmed_mean": n > 2 * f + 1, "bulyan": n >= 4 * f + 3}
    if rule in flowers and accepted.get(rule, True):
        peers["flower", "numpy"] = flowers[rule]
    return peers


def _take_turns(contenders: dict[tuple[str, str], Contender]) -> dict[tuple[str, str], float]:
    """Each contender's best time in milliseconds."""
    best = dict.fromkeys(contenders, float("inf"))
    spent = dict.fromkeys(contenders, 0.0)
    for _ in range(MAX_TURNS):
        for key, contender in contenders.items():
            time.sleep(SETTLE_SECONDS if spent[key] < TURNS_SECONDS else 0)
            for _ in range(CALLS_A_TURN):
                if spent[key] < TURNS_SECONDS:
                    begun = time.perf_counter()
                    contender()
                    seconds = time.perf_counter() - begun
                    spent[key] += seconds
                    best[key] = min(best[key], seconds * 1e3)
    return best


def _peak_bytes(contender: Contender) -> int:
    """The most memory that a call holds at once, beyond what was there before it."""
    tracemalloc.start()
    try:
        contender()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
