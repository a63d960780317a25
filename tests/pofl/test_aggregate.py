"""bift_ros.pofl.aggregate: the same bytes for the same updates, whoever computes them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bift_ros
from bift_ros.pofl.aggregate import RULES, Aggregation, AggregationError, Update, aggregate
from bift_ros.pofl.columns import Blocking

PREVIOUS = bytes(range(32))


def make_updates(n: int, d: int, seed: int = 0, spread: float = 200.0) -> list[Update]:
    rng = np.random.default_rng(seed)
    rows = np.clip(rng.normal(0, spread, (n, d)), -(2**15), 2**15 - 1).astype(np.int16)
    return [
        Update(f"bafk{rng.integers(10**9):09d}", f"{i:040x}", int(rng.integers(1, 3000)), row)
        for i, row in enumerate(rows)
    ]


def make_attacked(d: int, pull: float) -> list[Update]:
    """Nineteen honest updates that agree on something; three copies, an idler, an opponent, five
    that pull.

    Updates spread by 100 in each parameter: at 200 it is plain who pulls, at 60 they are outvoted.
    """
    rng = np.random.default_rng(2)
    rows = rng.normal(0, 100, (29, d)) + rng.normal(0, 80, d)
    rows[19:21] = rows[21]
    rows[22] = rng.normal(0, 100, d)
    rows[23] = -rows[23]
    rows[24:] += rng.normal(0, pull, d)
    return [
        Update(f"bafk{i:02d}", f"{i:040x}", 100, np.rint(row).astype(np.int16))
        for i, row in enumerate(rows)
    ]


def run(updates: list[Update], rule: str = "krum", f: int = 1, **changes: Any) -> Aggregation:
    start = np.arange(updates[0].values.size, dtype=np.int32) * 1000
    arguments: dict[str, Any] = {
        "rule": rule, "byzantine": f, "seed": PREVIOUS, "iteration": 1,
    }  # fmt: skip
    return aggregate(start, updates, **(arguments | changes))


def same(one: Aggregation, other: Aggregation) -> bool:
    return one.model.tobytes() == other.model.tobytes() and (
        (one.rule, one.contributors, one.notes) == (other.rule, other.contributors, other.notes)
    )


@settings(max_examples=20, deadline=None)
@given(st.data(), st.integers(1, 12), st.integers(0, 4), st.integers(0, 2**32))
@pytest.mark.parametrize("rule", RULES)
def test_arrival_threads_and_chunks_change_nothing(
    rule: str, data: st.DataObject, n: int, f: int, seed: int
) -> None:
    spread = data.draw(st.sampled_from([0.0, 1.0, 200.0, 20_000.0]))  # 0: all alike, all ties
    updates = make_updates(n, 300, seed, spread)
    blocking = Blocking(
        threads=data.draw(st.integers(1, 4)),
        scratch_bytes=data.draw(st.integers(1, 20_000)),
        stripe_columns=1,
    )
    once = run(updates, rule, f)
    again = run(data.draw(st.permutations(updates)), rule, f, blocking=blocking)
    assert same(once, again)


SCRIPT = """
import hashlib
import numpy as np
from bift_ros.pofl.aggregate import RULES, Update, aggregate
rng = np.random.default_rng(7)
rows = rng.integers(-2**14, 2**14, (15, 70_011)).astype(np.int16)
rows[12:] += rng.choice([-2**14, 2**14], 70_011).astype(np.int16)  # a way to outvote
updates = [Update(f"c{i:02d}", f"{i:040x}", i + 1, row) for i, row in enumerate(rows)]
start = rng.integers(-2**31, 2**31, 70_011).astype(np.int32)
digest = hashlib.sha256()
for rule in RULES:
    made = aggregate(start, updates, rule=rule, byzantine=3, seed=b"", iteration=2)
    digest.update(made.model.tobytes() + repr(made.contributors).encode())
print(digest.hexdigest())
"""


def numpy_simd_levels() -> str:
    """The names of the instruction sets that NumPy can be told not to use."""
    return " ".join(np._core.__dict__["_multiarray_umath"].__cpu_dispatch__)


def test_blas_kernels_blas_threads_and_simd_width_change_nothing() -> None:
    """Other processes, each with another OpenBLAS kernel, thread count or NumPy instruction set."""
    machines: list[dict[str, str]] = [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "4"},
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"NPY_DISABLE_CPU_FEATURES": numpy_simd_levels()},
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(bift_ros.__file__).parents[1])}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            env=environment | machine,
            stdout=subprocess.PIPE,
            text=True,
        )
        for machine in machines
    ]
    digests = [process.communicate(timeout=120)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0] * len(machines)
    assert len(set(digests)) == 1
    assert len(digests[0]) == 64


def test_the_result_is_pinned() -> None:
    """These bytes are consensus: a change here splits a running chain."""
    older = tuple(rule for rule in RULES if rule != "robust")
    pins = [
        (older, make_updates(9, 1000, seed=1), 2,
         "e2881acecb6fbd5a9978981ea5f20ea4a9ede8c2bb875e81ea1920b5b4cadb8c"),
        (("robust",), make_attacked(2000, pull=200), 10,
         "0fef5aa8565c57c137ee832a29e994035222c860ecf6fef3fa83056c86c5f5f4"),
        (("robust",), make_attacked(2000, pull=60), 10,
         "f0a19d684181d1a16b1d7293bb266f76d48d8c3b2276edb45e12e75c8eda8d98"),
    ]  # fmt: skip
    for rules, updates, f, pin in pins:
        digest = hashlib.sha256()
        for rule in rules:
            made = run(updates, rule, f)
            contributors = repr(made.contributors).encode()
            digest.update(made.rule.encode() + made.model.tobytes() + contributors)
        assert digest.hexdigest() == pin


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "robust"])
def test_contributors_are_the_same_whatever_the_rule_but_robust(rule: str) -> None:
    updates = make_updates(7, 40, seed=3)
    made = run(updates, rule, 2)
    assert made.contributors == run(updates, "multi_krum", 2).contributors
    assert len(made.contributors) == 5
    assert list(made.contributors) == sorted(made.contributors)


def test_an_outlier_does_not_contribute() -> None:
    updates = make_updates(6, 40)
    updates[2] = replace(updates[2], values=np.full(40, 30_000, np.int16))
    made = run(updates, "fedavg", 1)
    assert updates[2].cid not in made.contributors


def test_copies_of_one_update_count_each_in_the_order_of_addresses() -> None:
    first, second, third = make_updates(3, 20)
    copy = replace(first, address="f" * 40, sample_count=7)
    made = run([copy, second, first, third], "multi_krum", 2)
    assert made.contributors == (first.cid, first.cid)
    assert same(made, run([first, copy, third, second], "multi_krum", 2))


def test_mixed_draws_from_the_parent_hash_and_the_sorted_cids() -> None:
    updates = make_updates(5, 10)
    rules = ("krum", "trimmed_mean", "bulyan")
    seen = set()
    for number in range(30):
        previous = number.to_bytes(32, "big")
        cids = "".join(sorted(update.cid for update in updates))
        draw = int(hashlib.sha256(previous + cids.encode()).hexdigest(), 16) % 3
        made = run(updates, "mixed", seed=previous)
        assert made.rule == rules[draw]
        assert made.model.tobytes() == run(updates, made.rule).model.tobytes()
        seen.add(made.rule)
    assert seen == set(rules)


def test_mixed_paper_follows_the_papers_mapping() -> None:
    updates = make_updates(5, 10)
    drawn = [run(updates, "mixed_paper", iteration=t).rule for t in range(5)]
    assert drawn == ["bulyan", "krum", "trimmed_mean", "bulyan", "krum"]


def test_a_model_may_have_the_updates_exponent() -> None:
    updates = make_updates(3, 10)
    made = aggregate(
        np.zeros(10, np.int32), updates, rule="multi_krum", byzantine=0, seed=b"",
        iteration=1, update_exponent=14, model_exponent=14,
    )  # fmt: skip
    means = sum(update.values.astype(int) for update in updates) / 3
    assert made.model.tolist() == np.floor(means + 0.5).tolist()


def test_the_inputs_are_left_as_they_were() -> None:
    updates = make_updates(7, 100)
    for update in updates:
        update.values.flags.writeable = False  # as a parsed file's are
    before = [update.values.copy() for update in updates]
    for rule in RULES:
        run(updates, rule, 1)
    for update, values in zip(updates, before, strict=True):
        np.testing.assert_array_equal(update.values, values)


def test_the_model_saturates() -> None:
    updates = [
        Update("a", "0" * 40, 1, np.array([2**15 - 1, -(2**15)], np.int16)),
    ]
    made = aggregate(
        np.array([2**31 - 5, -(2**31) + 5], np.int32), updates,
        rule="fedavg", byzantine=0, seed=b"", iteration=0,
    )  # fmt: skip
    assert made.model.tolist() == [2**31 - 1, -(2**31)]


def test_bad_inputs_are_named() -> None:
    updates = make_updates(3, 10)
    short = replace(updates[0], values=updates[0].values[:9])
    wide = replace(updates[0], values=updates[0].values.astype(np.int32))
    for bad in (short, wide):
        with pytest.raises(AggregationError, match=rf"update {bad.cid} by {bad.address} is int"):
            run([updates[1], bad, updates[2]])
    with pytest.raises(AggregationError, match="two updates by member"):
        run([*updates, updates[0]])
    with pytest.raises(AggregationError, match=r"unknown rule 'median': choose one of fedavg"):
        run(updates, "median")
    with pytest.raises(AggregationError, match="under 0"):
        run(updates, f=-1)
    with pytest.raises(AggregationError, match="exponent"):
        run(updates, update_exponent=21)
    with pytest.raises(AggregationError, match="no updates"):
        aggregate(np.zeros(3, np.int32), [], rule="krum", byzantine=0, seed=b"", iteration=0)
    with pytest.raises(AggregationError, match=r"float64\[3\], not int32"):
        aggregate(
            np.zeros(3),
            updates,
            rule="krum",
            byzantine=0,
            seed=b"",
            iteration=0,  # type: ignore[arg-type]
        )
