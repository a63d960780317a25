"""How a data set is dealt to the vehicles: alike, or each with a label mix of its own.

Every vehicle gets equally many crops, no crop twice. The same arguments give the same split.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
_IID, _DIRICHLET = range(2)  # first word of a random stream's seed: no two uses share numbers


class SplitError(ValueError):
    """The data set doesn't hold what the vehicles need, with the remedy."""


def split(
    labels: Indices, vehicles: int, crops: int, alpha: float | None, seed: int
) -> list[Indices]:
    """Each vehicle's crops as indices int64[crops] into ``labels`` int64[n].

    ``alpha`` is None for an independent, identically distributed split, else the concentration of
    `dirichlet_split`. Raises SplitError where there are too few crops or alpha isn't above 0.
    """
    if vehicles * crops > len(labels):
        raise SplitError(
            f"{vehicles} vehicles with {crops} crops each need {vehicles * crops} training crops, "
            f"there are {len(labels)}: lower --crops or --vehicles, or name another --data"
        )
    if alpha is None:
        order = np.random.default_rng((_IID, seed)).permutation(len(labels))
        return [order[v * crops : (v + 1) * crops] for v in range(vehicles)]
    if not 0 < alpha < np.inf:
        raise SplitError(f"alpha is {alpha}: it must be above 0, such as 0.1, 0.5 or 1")
    return dirichlet_split(labels, vehicles, crops, alpha, seed)


def dirichlet_split(
    labels: Indices, vehicles: int, crops: int, alpha: float, seed: int
) -> list[Indices]:
    """A label split as in Hsu et al. 2019 ("Measuring the Effects of Non-Identical Data").

    Each vehicle draws class probabilities from Dirichlet(alpha, …, alpha) and its crops' classes
    from them, without replacement: where a class is used up, the others share its probability, so
    the last vehicles may get less skew than alpha says. The smaller alpha, the fewer classes a
    vehicle has.
    """
    rng = np.random.default_rng((_DIRICHLET, seed))
    pools = [rng.permutation(np.flatnonzero(labels == name)) for name in np.unique(labels)]
    left = np.array([len(pool) for pool in pools])
    parts = []
    for _ in range(vehicles):
        wanted = _draw_counts(rng, rng.dirichlet([alpha] * len(pools)), left, crops)
        parts.append(
            np.concatenate(
                [
                    pool[have - take : have]
                    for pool, have, take in zip(pools, left, wanted, strict=True)
                ]
            )
        )
        left -= wanted
    return parts


def _draw_counts(
    rng: np.random.Generator, probabilities: npt.NDArray[np.float64], left: Indices, crops: int
) -> Indices:
    """How many crops of each class a vehicle gets: at most what is left, together ``crops``."""
    counts = np.zeros_like(left)
    while missing := crops - int(counts.sum()):
        weights = np.where(counts < left, probabilities, 0.0)
        if weights.sum() < 1e-12:  # what this vehicle wants is used up: it takes what there is
            weights = (left - counts).astype(np.float64)
        drawn = rng.multinomial(missing, weights / weights.sum())
        counts = np.minimum(counts + drawn, left)
    return counts
