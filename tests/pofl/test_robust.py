"""The rule `robust`: against a reference in floats, and what attackers get past it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bift_ros.pofl.clipping import UNIT
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import gram_matrix
from bift_ros.pofl.robust import (
    AGAINST,
    DIRECTIONS,
    PLAIN,
    STANDS_OUT,
    Weighting,
    _distances_out,
    _nearest,
    _smaller_group,
    _standing_out,
    outvote,
    robust_notes,
    robust_weighting,
    without_copies,
    without_idlers,
    without_opponents,
)
from bift_ros.pofl.spectrum import Direction

Rows = npt.NDArray[np.int16]
D = 5_000
EVERYONE = list(range(30))


def honest(rng: np.random.Generator, n: int, d: int = D, spread: float = 40.0) -> Rows:
    """Updates that agree on a movement and differ by independent noise."""
    return np.rint(rng.normal(0, 30, d) + rng.normal(0, spread, (n, d))).astype(np.int16)


def gram_of(rows: Rows) -> npt.NDArray[np.int64]:
    return gram_matrix(list(rows), Blocking())


def weighting(rows: Rows, byzantine: int) -> Weighting:
    return robust_weighting(gram_of(rows), byzantine)


def movement(rows: Rows, weighting: Weighting) -> npt.NDArray[np.float64]:
    """How far the model goes."""
    weights = np.array(weighting.weights) / weighting.total
    return weights @ rows[weighting.indices]


def test_honest_updates_all_count_the_same() -> None:
    rows = honest(np.random.default_rng(1), 30)
    assert weighting(rows, 9) == Weighting(EVERYONE, [UNIT] * 30, 30 * UNIT, EVERYONE)


def test_vehicles_that_see_different_things_all_count_the_same() -> None:
    """Each knows of ten classes in shares of its own, drawn as for a label split at α = 0.5."""
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([0.5] * 10, 30)
    rows = honest(rng, 30) + np.rint(shares @ rng.normal(0, 60, (10, D))).astype(np.int16)
    assert weighting(rows, 9).weights == [UNIT] * 30


@pytest.mark.parametrize("share", [1.0, 3.0, 20.0])
def test_who_pulls_one_way_together_is_outvoted(share: float) -> None:
    """Nine of thirty, none a copy of another, each moved by a share of an honest one's noise."""
    rng = np.random.default_rng(2)
    rows = honest(rng, 30)
    way = rng.choice([-1, 1], D)
    rows[21:] += np.rint(share * 40 * way).astype(np.int16)
    found = weighting(rows, 9)
    assert found.contributors == list(range(21))
    moved = movement(rows, found) - rows[:21].mean(0)
    # A mean moves 0.3 of the way; what is left is of the size of one mean of noise.
    assert abs(moved @ way / D) < 0.03 * share * 40 + 40 / np.sqrt(21 * D) * 4
    assert np.linalg.norm(moved) < 1.2 * np.linalg.norm(40 / np.sqrt(21) * np.ones(D))


def test_what_the_outvoted_know_besides_still_counts() -> None:
    """Six pull, not plainly; the three honest vehicles that stand nearest to them are outvoted in
    that way alone, so what one of them has seen besides isn't lost."""
    rows = honest(np.random.default_rng(7), 30)
    rows[24:, : D // 2] += np.int16(27)
    rows[:3, : D // 2] += np.int16(9)
    rows[0, D // 2 :] += np.int16(30)
    found = weighting(rows, 9)
    assert found.contributors == list(range(3, 24))
    moved = movement(rows, found) - rows[3:24].mean(0)
    assert moved[: D // 2].mean() < 1
    assert moved[D // 2 :].mean() == pytest.approx(30 / 30, abs=0.5)


@pytest.mark.parametrize("attackers", [3, 6, 9])
def test_who_plainly_pulls_one_way_together_is_left_out_and_nobody_else(attackers: int) -> None:
    rows = honest(np.random.default_rng(7), 30)
    rows[:attackers, : D // 2] += np.int16(120)
    found = weighting(rows, 9)
    assert found.indices == found.contributors == list(range(attackers, 30))
    assert set(found.weights) == {UNIT}


def test_two_crowds_are_left_out() -> None:
    rows = honest(np.random.default_rng(7), 30)
    rows[:4, : D // 2] += np.int16(120)
    rows[4:9, D // 2 :] += np.int16(120)
    assert weighting(rows, 9).indices == list(range(9, 30))


def test_a_crowd_that_is_more_than_the_assumed_attackers_loses_but_so_many() -> None:
    rows = honest(np.random.default_rng(7), 30)
    rows[:9, : D // 2] += np.int16(120)
    assert len(weighting(rows, 5).indices) == 25


@pytest.mark.parametrize("alone", [1, 2])
def test_honest_vehicles_that_alone_see_something_are_not_left_out(alone: int) -> None:
    rows = honest(np.random.default_rng(7), 30)
    rows[:alone] += np.rint(np.random.default_rng(8).normal(0, 120, D)).astype(np.int16)
    assert weighting(rows, 9).indices == list(range(30))


@given(st.lists(st.integers(-(2**24), 2**24), min_size=2, max_size=40), st.integers(1, 40))
def test_the_smaller_group_is_that_of_the_least_squares(places: list[int], limit: int) -> None:
    """Against every split of the sorted places that leaves at most so many outside."""
    values = np.array(places, np.int64)
    group = _smaller_group(values, limit)
    ranked = np.sort(values).astype(float)

    def within(part: npt.NDArray[np.float64]) -> float:
        return float(np.square(part - part.mean()).sum()) if len(part) else 0.0

    reachable = min(limit, len(places) - 1)
    splits = [*range(reachable + 1), *range(len(places) - reachable, len(places) + 1)]
    best = min(within(ranked[:k]) + within(ranked[k:]) for k in splits)
    mask = np.isin(np.arange(len(places)), list(group))
    found = within(values[mask].astype(float)) + within(values[~mask].astype(float))
    assert len(group) <= limit
    assert found == pytest.approx(best, rel=1e-6, abs=1e-3)


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=20), st.integers(0, 20))
@example([90, 100, 110, 160], 1)  # far from zero, all on one side of it
@example([-1, 0, 5, 7], 2)  # the median lies between two of them
def test_the_nearest_are_nearest_to_the_median(places: list[int], limit: int) -> None:
    limit = min(limit, len(places))
    median = Fraction(sum(sorted(places)[(len(places) - 1) // 2 : len(places) // 2 + 1]))
    median /= 1 + (len(places) % 2 == 0)
    ranked = sorted(range(len(places)), key=lambda i: abs(places[i] - median))
    assert _nearest(np.array(places), limit) == set(ranked[: len(places) - limit])


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20), st.integers(1, 10**6))
@example([90, 100, 110, 160], 7)  # the median lies between two of them, far from zero
def test_distances_out_are_from_the_median(places: list[int], variance: int) -> None:
    """In units of the direction's length, and four times the square: halves stay whole."""
    median = Fraction(sum(sorted(places)[(len(places) - 1) // 2 : len(places) // 2 + 1]))
    median /= 1 + (len(places) % 2 == 0)
    norm = sum(place * place for place in places) or 1
    direction = Direction(np.array(places), norm, variance)
    exact = [4 * variance * (place - median) ** 2 / norm for place in places]
    assert _distances_out(direction) == [int(each) for each in exact]


def test_a_crowd_of_copies_is_left_out() -> None:
    """ALIE's form: nine times one vector, close to the mean: closer to all than any honest one."""
    rng = np.random.default_rng(3)
    rows = honest(rng, 30)
    rows[3:12] = np.rint(rows[12:].mean(0) - 0.4 * rows[12:].std(0)).astype(np.int16)
    found = weighting(rows, 9)
    assert found.indices == [0, 1, 2, *range(12, 30)] == found.contributors


def test_a_crowd_that_must_hold_an_honest_one_counts_once() -> None:
    rows = honest(np.random.default_rng(3), 30)
    rows[:10] = rows[0]
    assert without_copies(gram_of(rows), 9) == ([0, *range(10, 30)], 9)


def test_copying_the_honest_evicts_few() -> None:
    """One copy of an update is one too many and no more; two of each use up f on three crowds."""
    rows = honest(np.random.default_rng(4), 30)
    rows[21:] = rows[:9]
    assert without_copies(gram_of(rows), 9) == ([*range(21)], 9)
    rows[25:29] = rows[:4]
    assert without_copies(gram_of(rows), 9) == ([*range(3, 21)], 12)


@pytest.mark.parametrize("size", [30.0, 16_000.0])
def test_noise_of_any_size_is_left_out(size: float) -> None:
    rng = np.random.default_rng(4)
    rows = honest(rng, 30)
    rows[:9] = np.clip(rng.normal(0, size, (9, D)), -32768, 32767).astype(np.int16)
    assert weighting(rows, 9).indices == list(range(9, 30))


def test_reversed_trainings_are_left_out() -> None:
    rows = honest(np.random.default_rng(5), 30)
    rows[:9] = -rows[:9]
    assert weighting(rows, 9).indices == list(range(9, 30))


def test_who_agrees_with_some_and_goes_against_others_is_no_idler() -> None:
    """Two halves that see different things, and one vehicle that sees what lies between them."""
    rng = np.random.default_rng(10)
    ways = rng.normal(0, 30, (2, D))
    rows = rng.normal(0, 40, (30, D))
    rows[:15] += ways[0]
    rows[15:29] += ways[1]
    rows[29] += ways[0] - ways[1]
    gram = gram_of(np.rint(rows).astype(np.int16))
    assert abs(np.corrcoef(rows)[29].sum() - 1) < np.median(np.corrcoef(rows).sum(1) - 1) / 8
    assert without_opponents(gram, without_idlers(gram, EVERYONE, 9), 9) == EVERYONE


def test_a_crowd_makes_no_honest_update_look_like_an_opponent() -> None:
    """Late in a training honest updates agree little; nine who agree, and turn against that little,
    leave the honest with cosines whose sums stand around zero."""
    rng = np.random.default_rng(8)
    agreed, way = rng.normal(0, 6, D), rng.choice([-1, 1], D)
    rows = np.rint(agreed + rng.normal(0, 40, (30, D)))
    rows[21:] += np.rint(60 * way - 5 * agreed)
    cosines = np.corrcoef(rows)[:21].sum(1) - 1
    assert (cosines < -np.median(np.corrcoef(rows).sum(1) - 1) / AGAINST).sum() >= 4
    gram = gram_of(rows.astype(np.int16))
    assert set(range(21)) <= set(without_opponents(gram, without_idlers(gram, EVERYONE, 9), 9))


def test_whoever_is_not_idle_counts_for_twice_the_common_length_at_most() -> None:
    """Seven go where all go, each with a lot of noise in a way of its own."""
    rng = np.random.default_rng(9)
    rows = honest(rng, 30).astype(np.int64)
    rows[:7] = np.clip(rows[:7] * 30 + rng.normal(0, 3_500, (7, D)), -(2**15), 2**15 - 1)
    found = weighting(rows.astype(np.int16), 9)
    assert set(range(7, 30)) < set(found.indices)
    off = movement(rows.astype(np.int16), found) - rows[7:].mean(0)
    assert np.linalg.norm(off) < np.linalg.norm(rows[7:] - rows[7:].mean(0), axis=1).mean()


def test_nobody_is_an_opponent_where_nobody_agrees() -> None:
    rows = np.random.default_rng(6).normal(0, 100, (11, 40)).astype(np.int16)
    rows[1::2] = -rows[:-1:2]
    assert without_opponents(gram_of(rows), list(range(11)), 3) == list(range(11))


def test_without_attackers_none_is_a_copy() -> None:
    """Two that agree and one that doesn't: the two are no copies of each other."""
    rows = honest(np.random.default_rng(6), 3, 500, spread=5.0)
    rows[2] += 1_000
    assert weighting(rows, 0).indices == [0, 1, 2]


def test_whom_one_step_leaves_out_the_next_one_can_not() -> None:
    """Five copies use up f, so that noise stays."""
    rng = np.random.default_rng(11)
    rows = honest(rng, 30)
    rows[1:6] = rows[0] + np.int16(50)
    rows[6:9] = rng.normal(0, 40, (3, D)).astype(np.int16)
    assert weighting(rows, 5).indices == [0, *range(6, 30)]
    assert weighting(rows, 8).indices == [0, *range(9, 30)]


def test_three_crowds_are_taken_for_the_spread_of_honest_updates() -> None:
    """A known limit: nothing is left to compare a third direction with."""
    rows = honest(np.random.default_rng(12), 30)
    for crowd in range(3):
        rows[3 * crowd : 3 * crowd + 3, crowd * 1_600 : crowd * 1_600 + 1_600] += np.int16(60)
    assert weighting(rows, 9).weights == [UNIT] * 30
    assert weighting(rows[3:], 6).weights != [UNIT] * 27


def with_variances(*variances: int) -> npt.NDArray[np.int64]:
    """A Gram matrix of updates that spread so far along directions of their own (Helmert's)."""
    n = len(variances) + 1
    gram = np.zeros((n, n))
    for k, variance in enumerate(variances, 1):
        way = np.array([1.0] * k + [-k] + [0.0] * (n - k - 1))
        gram += variance * np.outer(way, way) / (way @ way)
    return np.rint(gram).astype(np.int64)


@pytest.mark.parametrize(("ratio", "bound"), [(STANDS_OUT, 1.7), (PLAIN, 2.5)])
def test_a_direction_stands_out_at_the_bound_that_is_documented(
    ratio: tuple[int, int], bound: float
) -> None:
    usual, more = 10**7, 1.002
    for first, second, count in ((more, more, 2), (more, 1 / more, 1), (1 / more, 1 / more, 0)):
        leading = (int(usual * bound * first), int(usual * bound * second))
        assert len(_standing_out(with_variances(*leading, usual, usual // 2), ratio)) == count


def test_it_takes_three_directions_to_compare() -> None:
    """Of three updates there are two, of four three."""
    assert outvote(with_variances(10**8, 10**6), 1) == ([UNIT] * 3, [0] * 3)
    assert outvote(with_variances(10**8, 10**6, 10**6), 1)[0] != [UNIT] * 4


def with_cosines(cosine: float, last: float, n: int = 12) -> npt.NDArray[np.int64]:
    """A Gram matrix of equally long updates: the last one's cosines to the others, and theirs."""
    gram = np.full((n, n), cosine)
    gram[-1, :] = gram[:, -1] = last
    np.fill_diagonal(gram, 1)
    return np.rint(gram * 2**40).astype(np.int64)


@pytest.mark.parametrize("share", [0.097, 0.103])
def test_an_idler_has_under_a_tenth_of_the_common_squares(share: float) -> None:
    last = 0.5 * np.sqrt(share * 10 / (11 - share))
    kept = without_idlers(with_cosines(0.5, last), list(range(12)), 3)
    assert kept == list(range(12 if share > 0.1 else 11))


@pytest.mark.parametrize("share", [0.48, 0.52])
def test_an_opponent_goes_against_the_others_by_over_half(share: float) -> None:
    """Its cosines add up to -11 c, theirs to ten times 0.1, less c."""
    c = share / (11 + share)
    kept = without_opponents(with_cosines(0.1, -c), list(range(12)), 1)
    assert kept == list(range(12 if share < 0.5 else 11))


@pytest.mark.parametrize("distance", [12_400, 12_600])
def test_copies_are_nearer_than_an_eighth_of_the_common_distance(distance: int) -> None:
    """All squared distances are 100,000 but those between three."""
    gram = np.diag([50_000] * 12)
    gram[:3, :3] += 50_000 - distance // 2
    np.fill_diagonal(gram, 50_000)
    assert without_copies(gram, 4)[0] == list(range(0 if distance > 12_500 else 3, 12))


def test_weights_are_exactly_these() -> None:
    """Weights are consensus: other units would give other bytes."""
    rows = honest(np.random.default_rng(13), 9)
    rows[4] *= 3
    found = weighting(rows, 2)
    assert found.weights == [4596, 4568, 4628, 4621, 25, 4589, 4600, 4583, 4636]
    assert found.total == 36_860


def in_floats(rows: Rows, f: int) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Steps 4 and 5 of the rule on float64 by NumPy's eigenvectors, and how far directions stand
    out, in units of what is tolerated."""
    values = rows.astype(float)
    offsets = values - values.mean(0)
    eigenvalues, vectors = np.linalg.eigh(offsets @ offsets.T)
    usual = eigenvalues[-1 - DIRECTIONS] * STANDS_OUT[0] / STANDS_OUT[1]
    moved, shares = values.mean(0), []
    for place in range(-1, -1 - DIRECTIONS, -1):
        shares.append(eigenvalues[place] / usual)
        if shares[-1] <= 1:
            break
        way = vectors[:, place] @ offsets
        way /= np.linalg.norm(way)
        places = offsets @ way
        near = np.argsort(np.abs(places - np.median(places)), kind="stable")[: len(rows) - f]
        moved = moved + places[near].mean() * way
    return moved, shares


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(7, 24), st.integers(1, 12), st.floats(0.5, 40.0))
@example(57676, 7, 1, 0.5)  # its third variance and its fourth are close
def test_the_movement_is_that_of_floats(seed: int, n: int, scale: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    f = (n - 1) // 3
    rows = honest(rng, n, 400, 20.0 * scale)
    rows[:f] += np.rint(factor * 20 * scale * rng.choice([-1, 1], 400)).astype(np.int16)
    expected, shares = in_floats(rows, f)
    found = weighting(rows, f)
    if len(found.indices) < n or any(abs(share - 1) < 0.1 for share in shares):
        return  # an earlier step left one out, or rounding decides
    off = np.linalg.norm(movement(rows, found) - expected)
    assert off < 0.05 * np.linalg.norm(rows.std(0)) / np.sqrt(n)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_updates_have_weights(data: st.DataObject) -> None:
    """Ties, copies and the largest values that int16 has."""
    n, d = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))
    bound = data.draw(st.sampled_from([1, 300, 2**15 - 1]))
    values = data.draw(st.lists(st.integers(-bound - 1, bound), min_size=n * d, max_size=n * d))
    f = data.draw(st.integers(0, 5))
    found = weighting(np.array(values, np.int16).reshape(n, d), f)
    assert found.indices == sorted(set(found.indices)) != []
    assert len(found.weights) == len(found.indices)
    assert found.total > 0
    # Whatever is in the mean, at most D directions add √k each to the unweighted ones.
    largest = UNIT * len(found.indices) * (1 + DIRECTIONS * np.sqrt(len(found.indices)))
    assert sum(map(abs, found.weights)) <= largest + 2 * len(found.indices)
    assert set(found.contributors) <= set(found.indices)
    assert found.contributors
    assert len(found.indices) - len(found.contributors) <= f


def test_no_guarantee_where_half_could_lie() -> None:
    assert robust_notes(18, 9) == ("robust: n=18 ≤ 2f=18, no guarantee",)
    assert robust_notes(19, 9) == ()
