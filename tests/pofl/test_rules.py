"""Every rule against its paper's definition in integers and fractions, and against ByzFL."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import byzfl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import squared_distances
from bift_ros.pofl.fedavg import MAX_SAMPLE_COUNT, fedavg_notes
from bift_ros.pofl.krum import krum_choice, krum_scores
from bift_ros.pofl.robust import robust_weighting
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES

Row = Sequence[int]

# --- The papers' definitions, plain and slow -----------------------------------------------------


def ref_move(start: Row, means: Sequence[Fraction], shift: int) -> list[int]:
    """The new model: round half up, saturate to int32."""
    moved = [g + floor(m * 2**shift + Fraction(1, 2)) for g, m in zip(start, means, strict=True)]
    return [max(-(2**31), min(2**31 - 1, value)) for value in moved]


def ref_mean(rows: Sequence[Row]) -> list[Fraction]:
    return [Fraction(sum(column), len(column)) for column in zip(*rows, strict=True)]


def ref_fedavg(rows: Sequence[Row], counts: Sequence[int]) -> list[Fraction]:
    return [
        Fraction(sum(c * x for c, x in zip(counts, column, strict=True)), sum(counts))
        for column in zip(*rows, strict=True)
    ]


def ref_distance(a: Row, b: Row) -> int:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def ref_scores(rows: Sequence[Row], f: int) -> list[int]:
    """Blanchard et al. 2017, section 4: the sum over the n − f − 2 closest others."""
    nearest = max(len(rows) - f - 2, 1)
    return [
        sum(sorted(ref_distance(a, b) for j, b in enumerate(rows) if j != i)[:nearest])
        for i, a in enumerate(rows)
    ]


def ref_multi_krum_selection(rows: Sequence[Row], f: int, size: int | None = None) -> list[int]:
    size = max(len(rows) - f, 1) if size is None else size
    score = ref_scores(rows, f)
    return sorted(sorted(range(len(rows)), key=lambda i: (score[i], i))[:size])


def ref_krum(rows: Sequence[Row], f: int) -> Row:
    return rows[ref_multi_krum_selection(rows, f, 1)[0]]


def ref_trimmed_mean(rows: Sequence[Row], f: int) -> list[Fraction]:
    trim = min(f, (len(rows) - 1) // 2)
    columns = [sorted(column)[trim : len(rows) - trim] for column in zip(*rows, strict=True)]
    return [Fraction(sum(column), len(column)) for column in columns]


def ref_bulyan(rows: Sequence[Row], f: int) -> list[Fraction]:
    """El Mhamdi et al. 2018, section 4, one coordinate after the other."""
    received, selected = list(rows), []
    for _ in range(max(len(rows) - 2 * f, 1)):
        selected.append(received.pop(ref_multi_krum_selection(received, f, 1)[0]))
    theta = len(selected)
    beta = theta - 2 * min(f, (theta - 1) // 2)
    result = []
    for column in zip(*selected, strict=True):
        ranked = sorted(column)
        median = Fraction(ranked[(theta - 1) // 2] + ranked[theta // 2], 2)
        nearest = sorted(column, key=lambda x: (abs(x - median), x))[:beta]
        result.append(Fraction(sum(nearest), beta))
    return result


# --- What every member computes, against them ----------------------------------------------------


def reference(round_: Round, rule: str) -> list[int]:
    rows = [row.tolist() for row in round_.rows]
    f = round_.byzantine
    if rule == "fedavg":
        counts = [min(max(count, 1), MAX_SAMPLE_COUNT) for count in round_.sample_counts]
        means = ref_fedavg(rows, counts)
    elif rule == "krum":
        means = [Fraction(value) for value in ref_krum(rows, f)]
    elif rule == "multi_krum":
        means = ref_mean([rows[i] for i in ref_multi_krum_selection(rows, f)])
    elif rule == "robust":  # its weights have their own oracle: test_robust.py
        chosen = robust_weighting(round_.gram, f)
        pairs = [(rows[i], w) for i, w in zip(chosen.indices, chosen.weights, strict=True)]
        columns = range(len(rows[0]))
        sums = [sum(row[c] * w for row, w in pairs) for c in columns]
        means = [Fraction(value, chosen.total) for value in sums]
        means = [min(max(value, Fraction(-(2**15))), Fraction(2**15)) for value in means]
    else:
        means = {"trimmed_mean": ref_trimmed_mean, "bulyan": ref_bulyan}[rule](rows, f)
    return ref_move(round_.global_model.tolist(), means, round_.shift)


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    n, d = draw(st.integers(1, 16)), draw(st.integers(1, 6))
    bound = draw(st.sampled_from([3, 300, 2**15 - 1]))  # 3: many ties
    return Round(
        global_model=draw(hnp.arrays(np.int32, d)),
        rows=list(draw(hnp.arrays(np.int16, (n, d), elements=st.integers(-bound - 1, bound)))),
        sample_counts=draw(st.lists(st.integers(-5, 2**21), min_size=n, max_size=n)),
        byzantine=draw(st.integers(0, 8)),
        shift=draw(st.integers(0, 14)),
        blocking=Blocking(
            threads=draw(st.integers(1, 3)),
            scratch_bytes=draw(st.integers(1, 400)),
            stripe_columns=1,
        ),
    )


@settings(max_examples=60, deadline=None)
@given(rounds())
@pytest.mark.parametrize("rule", MODEL_RULES)
def test_the_model_is_the_definitions(rule: str, round_: Round) -> None:
    model = MODEL_RULES[rule].model(round_)
    assert model.dtype == np.int32
    assert model.tolist() == reference(round_, rule)


@settings(max_examples=60, deadline=None)
@given(rounds())
def test_the_contributors_are_the_multi_krum_selection(round_: Round) -> None:
    rows = [row.tolist() for row in round_.rows]
    assert MODEL_RULES["fedavg"].contributors(round_) == ref_multi_krum_selection(
        rows, round_.byzantine
    )


@pytest.mark.parametrize("extreme", [-(2**15), 2**15 - 1])
def test_distances_are_exact_at_the_ends_of_int16(extreme: int) -> None:
    """A long row of the largest products, where float32 or one rounding would show."""
    d = 300_001
    far = np.full(d, -(2**15), np.int16)
    near = np.full(d, extreme, np.int16)
    near[-1] = 1
    found = squared_distances([far, near, far])
    expected = (d - 1) * (extreme + 2**15) ** 2 + (2**15 + 1) ** 2
    assert found.tolist() == [[0, expected, 0], [expected, 0, expected], [0, expected, 0]]


# --- ByzFL as an oracle --------------------------------------------------------------------------


@st.composite
def clusters(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """n ≥ 2f + 3 random updates, f of them far off."""
    f = draw(st.integers(0, 3))
    n = draw(st.integers(2 * f + 3, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = rng.normal(0, 500, (n, 50))
    rows[rng.permutation(n)[:f]] += rng.normal(0, 3000, (f, 50))
    return np.clip(np.rint(rows), -(2**15), 2**15 - 1).astype(np.int16), f


def moved(rows: np.ndarray, f: int, rule: str) -> np.ndarray:
    """The rule's result as floats in update steps."""
    d = rows.shape[1]
    round_ = Round(np.zeros(d, np.int32), list(rows), [1] * len(rows), f, shift=10)
    return MODEL_RULES[rule].model(round_) / 2.0**10


@settings(max_examples=30, deadline=None)
@given(clusters())
def test_trimmed_mean_agrees_with_byzfl(case: tuple[np.ndarray, int]) -> None:
    rows, f = case
    theirs = byzfl.TrMean(f)(rows.astype(np.float64))
    np.testing.assert_allclose(moved(rows, f, "trimmed_mean"), theirs, rtol=0, atol=2.0**-10)


@settings(max_examples=30, deadline=None)
@given(clusters())
def test_krum_agrees_with_byzfl(case: tuple[np.ndarray, int]) -> None:
    """ByzFL's Krum counts n − f − 1 neighbours, Blanchard's paper n − f − 2: hence its f + 1."""
    rows, f = case
    theirs = byzfl.Krum(f + 1)(rows.astype(np.float64))
    np.testing.assert_array_equal(moved(rows, f, "krum"), theirs)


@settings(max_examples=30, deadline=None)
@given(clusters())
def test_multi_krum_scores_agree_with_byzfl(case: tuple[np.ndarray, int]) -> None:
    """With ByzFL's f + 1, for the same neighbours, it averages the n − f − 1 lowest scores."""
    rows, f = case
    theirs = byzfl.MultiKrum(f + 1)(rows.astype(np.float64))
    order = np.argsort(krum_scores(squared_distances(list(rows)), f), kind="stable")
    ours = rows[order[: len(rows) - f - 1]].mean(axis=0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_multi_krum_agrees_with_byzfl_where_the_attack_is_plain(seed: int) -> None:
    """The same f on both sides: one neighbour more or less doesn't change who is far off."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 100, (13, 200)).astype(np.int16)
    rows[rng.permutation(13)[:4]] += 2000
    theirs = byzfl.MultiKrum(4)(rows.astype(np.float64))
    np.testing.assert_allclose(moved(rows, 4, "multi_krum"), theirs, rtol=0, atol=2.0**-10)


# --- Few updates ---------------------------------------------------------------------------------


def ones(n: int, f: int, counts: list[int] | None = None) -> Round:
    rows = [np.full(3, 10 * i, np.int16) for i in range(n)]
    return Round(np.zeros(3, np.int32), rows, counts or [1] * n, f, shift=6)


@pytest.mark.parametrize(
    ("rule", "enough"),
    [("krum", 7), ("multi_krum", 7), ("trimmed_mean", 5), ("bulyan", 11)],
)
def test_a_round_says_when_it_is_too_small(rule: str, enough: int) -> None:
    assert MODEL_RULES[rule].notes(ones(enough, 2)) == ()
    (note,) = MODEL_RULES[rule].notes(ones(enough - 1, 2))
    assert f"n={enough - 1}" in note


def test_the_notes_say_what_is_done_instead() -> None:
    assert "selects 4, averages the 2 nearest" in MODEL_RULES["bulyan"].notes(ones(10, 3))[0]
    assert "drops 1 a side" in MODEL_RULES["trimmed_mean"].notes(ones(4, 2))[0]
    assert "the 1 nearest" in MODEL_RULES["krum"].notes(ones(4, 3))[0]
    assert fedavg_notes([1, 2**20]) == ()
    assert "2 sample count(s)" in fedavg_notes([0, 5, 2**20 + 1])[0]


@pytest.mark.parametrize("rule", MODEL_RULES)
def test_a_lone_update_is_the_model(rule: str) -> None:
    round_ = ones(1, 4)
    round_.rows[0][...] = (5, -7, 2**15 - 1)
    assert MODEL_RULES[rule].model(round_).tolist() == [5 << 6, -7 << 6, (2**15 - 1) << 6]
    assert MODEL_RULES[rule].contributors(round_) == [0]


def test_equal_scores_go_to_the_earlier_update() -> None:
    assert krum_choice(np.zeros((4, 4), np.int64), 1) == 0
