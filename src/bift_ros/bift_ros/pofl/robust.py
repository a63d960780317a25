"""The rule `robust`: crowds don't count, be they copies or plainly of one aim, nor do idlers; who
pulls together less plainly is outvoted in that way alone (why, and figures: docs/robust.md).

1. **Copies.** Trainings on different crops don't end in one place. Updates that stand far nearer
   together than updates commonly do are one crafted vector sent many times, which Krum and Bulyan
   take for the truth: they are left out, f at most.
2. **Crowds.** Attackers who mean to move a mean far must pull in one direction; honest updates
   differ in all. Where updates spread along one direction far beyond what honest ones do, they fall
   into two groups along it, and the smaller is left out, f at most.
3. **Idlers and opponents.** An update that has nothing in common with any other has not learned
   what others learned (noise), and one that goes against most undoes it (a reversed training): both
   are left out, while f are not passed.
4. **Length.** No update counts for more than twice the median length (`pofl.clipping`).
5. **Directions.** Along a direction in which updates spread more than along most, but not so far
   that it is plain who pulls (compare the test of Diakonikolas et al., ICML 2017, and of
   divide-and-conquer, Shejwalkar and Houmansadr, NDSS 2021), only the n − f nearest to the median
   say how far the model moves. Along all others everyone does: what an update knows besides is not
   lost, which matters where vehicles see different things.
6. **Mean** of the rest, unweighted, with the movement along those directions replaced.

All of it follows from the exact inner products of the updates, in integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.clipping import UNIT, clipping_scales, scaled
from bift_ros.pofl.distances import distances_of
from bift_ros.pofl.spectrum import Direction, centred, leading_directions

Int64Array = npt.NDArray[np.int64]

COPIES = 8
"""Updates whose squared distance is under an eighth of the common one count as copies. Of honest
vehicles the nearest two were measured at 0.9 of the median one, with unlike crops (Dirichlet,
α = 0.5) at 0.7."""
IDLE = 10
"""An update whose squared cosines to the others add up to under a tenth of the median sum is idle.
Honest vehicles were measured at a quarter of it and more, however unlike their crops (Dirichlet,
α = 0.1); noise at a thirtieth at most."""
AGAINST = 2
"""An update whose cosines to the others add up to less than minus half the median sum is an
opponent. Reversed trainings were measured beyond it with like crops; honest vehicles never beyond
it with like crops, and up to three of thirty at a time with the least alike."""
DIRECTIONS = 2
"""As many are corrected at most. A third one is taken for the honest updates' own spread."""
STANDS_OUT = (17, 10)
"""Variance along a direction over that along the third one, as a fraction. Honest updates were
measured at 1.1 at most, with unlike crops (Dirichlet, α = 0.5) at 1.66; nine attackers of thirty
who share an aim at 4 to 30, with unlike crops at 1.85 to 4.8. Rather too low than too high: to
outvote honest vehicles once costs little, but once a backdoor is in, attackers look like others.
"""
PLAIN = (5, 2)
"""As `STANDS_OUT`: over it, a crowd is left out wholly. Honest updates were measured at 2.07 at
most (Dirichlet, α = 1). What backdoored vehicles teach is not one direction alone: only outvoted,
nine of thirty had 14% of stamped crops mistaken after 50 iterations at α = 0.5; left out, 3%."""
SMALLEST_CROWD = 3
"""One or two who stand out may be honest ones who alone see something."""
_COSINE_BITS = 20


@dataclass(frozen=True)
class Weighting:
    """What `robust` makes of n updates."""

    indices: list[int]
    """Ascending: the updates in the mean."""
    weights: list[int]
    """One for each of these. Their sizes add up to 2**31 at most."""
    total: int
    """What to divide the weighted sum by."""
    contributors: list[int]
    """Ascending: those in the mean, without the f at most that were outvoted by most."""


def robust_weighting(gram: Int64Array, byzantine: int) -> Weighting:
    """How much each update counts, from inner products int64[n, n]; ``byzantine`` is f."""
    kept, left_out = without_copies(gram, byzantine)
    kept = without_crowds(gram, kept, byzantine - left_out)
    kept = without_idlers(gram, kept, byzantine - (len(gram) - len(kept)))
    limit = max(byzantine - (len(gram) - len(kept)), 0)
    kept = without_opponents(gram, kept, limit)  # who may be honest: as many are outvoted below
    inner = gram[np.ix_(kept, kept)]
    scales = clipping_scales(inner)
    weights, distrust = outvote(scaled(inner, scales), limit)
    most = sorted(range(len(kept)), key=lambda i: -distrust[i])[:limit]
    outvoted = {i for i in most if distrust[i]}
    return Weighting(
        kept,
        [weight * scale // UNIT for weight, scale in zip(weights, scales, strict=True)],
        sum(weights),
        [kept[i] for i in range(len(kept)) if i not in outvoted],
    )


def without_copies(gram: Int64Array, byzantine: int) -> tuple[list[int], int]:
    """The indices, ascending, of updates that are no copies, and how many were left out.

    A crowd of copies is left out whole, the largest first, while f updates are not passed. Of
    another crowd the first counts: it has an honest one among it, or is too small to matter. Of a
    pair too: else each attacker could evict an honest vehicle by copying it.
    """
    distances = distances_of(gram)
    bound = -(-_common_distance(distances, byzantine) // COPIES)
    crowds: list[list[int]] = []
    for i in range(len(gram)):
        for crowd in crowds:
            if int(distances[i, crowd].min()) < bound:
                crowd.append(i)
                break
        else:
            crowds.append([i])
    kept, budget = [], byzantine
    for crowd in sorted(crowds, key=lambda crowd: -len(crowd)):
        if 2 < len(crowd) <= budget:
            budget -= len(crowd)
        else:
            kept.append(crowd[0])
    return sorted(kept), len(gram) - len(kept)


def _common_distance(distances: Int64Array, byzantine: int) -> int:
    """A squared distance as the nearest honest updates have it, whatever f others send.

    These can make the distances among themselves and to one honest update as small as they like,
    f (f + 1) / 2 in all: it is the next larger one.
    """
    pairs = np.sort(distances[np.triu_indices(len(distances), 1)])
    small = byzantine * (byzantine + 1) // 2
    return int(pairs[small]) if small < len(pairs) else 0


def without_crowds(gram: Int64Array, indices: list[int], limit: int) -> list[int]:
    """What is left of ``indices`` without those, ``limit`` at most, who plainly pull together.

    One crowd after another.
    """
    while limit >= SMALLEST_CROWD:
        inner = gram[np.ix_(indices, indices)]
        plain = _standing_out(scaled(inner, clipping_scales(inner)), PLAIN)
        crowd = _smaller_group(plain[0].places, limit) if plain else frozenset()
        if len(crowd) < SMALLEST_CROWD:
            break
        indices = [index for i, index in enumerate(indices) if i not in crowd]
        limit -= len(crowd)
    return indices


def _smaller_group(places: Int64Array, limit: int) -> frozenset[int]:
    """The outer one of the two groups into which places fall apart best, ``limit`` at most.

    Best: with the largest variance between the groups (2-means in one dimension). Where k of n
    places add up to s and all to t, that is (n s − k t)² / (k (n − k)), up to a factor.
    """
    n, total = len(places), int(places.sum())
    ranked = np.argsort(places, kind="stable").tolist()
    best, group = Fraction(0), frozenset[int]()
    for outermost in (ranked, ranked[::-1]):
        inside = 0
        for k, i in enumerate(outermost[: min(limit, n - 1)], 1):
            inside += int(places[i])
            between = Fraction((n * inside - k * total) ** 2, k * (n - k))
            if between > best:
                best, group = between, frozenset(outermost[:k])
    return group


def without_idlers(gram: Int64Array, indices: list[int], limit: int) -> list[int]:
    """What is left of ``indices`` without those, ``limit`` at most, who have nothing in common with
    anybody.

    Squares count, so that an update which agrees with some and goes against others is not idle:
    that is how it looks where vehicles see different things.
    """
    cosines = _cosines(gram[np.ix_(indices, indices)])
    np.fill_diagonal(cosines, 0)
    common = np.square(cosines).sum(1)
    return _without_least(indices, 2 * IDLE * common, _twice_median(common), limit)


def without_opponents(gram: Int64Array, indices: list[int], limit: int) -> list[int]:
    """What is left of ``indices`` without those, ``limit`` at most, who go against the others.

    Where others pull one way together they are outvoted, so that they make nobody look so. Where
    the others agree on nothing (the median is not above 0), nobody is.
    """
    cosines = _cosines(gram[np.ix_(indices, indices)])
    weights, _ = outvote(cosines, limit)
    np.fill_diagonal(cosines, 0)
    alignment = cosines @ np.array(weights)
    median = _twice_median(alignment)
    return _without_least(indices, 2 * AGAINST * alignment, -median, limit if median > 0 else 0)


def _without_least(indices: list[int], scores: Int64Array, bound: int, limit: int) -> list[int]:
    """Without the ``limit`` lowest scores at most, where these are under a bound."""
    least = np.argsort(scores, kind="stable")[: max(limit, 0)].tolist()
    out = {i for i in least if int(scores[i]) < bound}
    return [index for i, index in enumerate(indices) if i not in out]


def _cosines(gram: Int64Array) -> Int64Array:
    """Cosines in units of ``2**-_COSINE_BITS``.

    An inner product over one length is at most the other, 2**31: nothing here passes 2**52.
    """
    lengths = np.array([max(isqrt(square), 1) for square in gram.diagonal().tolist()])
    cosines: Int64Array = ((gram // lengths[:, None]) << _COSINE_BITS) // lengths[None, :]
    return cosines


def outvote(gram: Int64Array, limit: int) -> tuple[list[int], list[int]]:
    """Weights for k updates such that, along the leading directions of their spread, all but the
    ``limit`` furthest from the median say how far the mean moves; and for each the squared distance
    beyond in which it was not asked. All weights are UNIT where no direction stands out.
    """
    k = len(gram)
    weights, distrust = [UNIT] * k, [0] * k
    directions = _standing_out(gram, STANDS_OUT) if 0 < limit < k else []
    for direction in directions:
        near = _nearest(direction.places, limit)
        weights = [w + c for w, c in zip(weights, _correction(direction, near), strict=True)]
        for i, beyond in enumerate(_distances_out(direction)):
            distrust[i] += 0 if i in near else beyond
    return weights, distrust


def _standing_out(gram: Int64Array, ratio: tuple[int, int]) -> list[Direction]:
    """The leading directions with so many times the third one's variance, if any."""
    if len(gram) - 1 <= DIRECTIONS:
        return []  # too few for a comparison
    found = leading_directions(centred(gram), DIRECTIONS + 1)
    usual = found[DIRECTIONS].variance if len(found) > DIRECTIONS else 0
    times, over = ratio
    return [d for d in found[:DIRECTIONS] if over * d.variance > times * usual]


def robust_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where attackers could be as many as the honest."""
    if n > 2 * byzantine:
        return ()
    return (f"robust: n={n} ≤ 2f={2 * byzantine}, no guarantee",)


def _nearest(places: Int64Array, limit: int) -> frozenset[int]:
    """All but the ``limit`` that stand furthest from the median; of equals, the earlier stay."""
    away = np.abs(2 * places - _twice_median(places))
    return frozenset(np.argsort(away, kind="stable")[: len(places) - limit].tolist())


def _correction(direction: Direction, near: frozenset[int]) -> list[int]:
    """What to add to the weights, so that along the direction the mean is that of ``near``.

    The mean moves by m v / |v|², where m is how far out ``near`` are on average. With v = Σ aᵢ
    (uᵢ − mean) that is Σ (Σ_near a) aᵢ / (|near| a·a) uᵢ, since Σ aᵢ = 0.
    """
    places = direction.places.tolist()
    share = UNIT * len(places) * sum(places[i] for i in near)
    return [share * place // (len(near) * direction.norm) for place in places]


def _distances_out(direction: Direction) -> list[int]:
    """Squared distances from the median along the direction, in one unit for all directions."""
    middle = _twice_median(direction.places)
    scale, norm = direction.variance, direction.norm
    return [scale * (2 * p - middle) ** 2 // norm for p in direction.places.tolist()]


def _twice_median(values: Sequence[int] | Int64Array) -> int:
    ranked = sorted(int(value) for value in values)
    return ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]
