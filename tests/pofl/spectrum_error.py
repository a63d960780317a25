"""How far the ratio on which `robust` decides is off, for random fleets, against NumPy's.

    scripts/enter python tests/pofl/spectrum_error.py 10000

prints the figures in docs/robust.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.robust import DIRECTIONS
from bift_ros.pofl.spectrum import centred, leading_directions

SIZES = (4, 5, 7, 10, 15, 24, 30, 50, 80, 120)


def random_updates(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The updates of a fleet of any size: common classes, unlike lengths, a crowd or two, noise."""
    n, d = int(rng.choice(SIZES)), int(rng.integers(50, 1_000))
    rows = rng.normal(0, rng.uniform(0, 60), d) + rng.normal(0, 40, (n, d))
    if rng.random() < 0.5:  # each vehicle knows of some classes only
        shares = rng.dirichlet([rng.choice([0.1, 0.5, 1.0])] * 10, n)
        rows += shares @ rng.normal(0, rng.uniform(0, 200), (10, d))
    if rng.random() < 0.3:
        rows *= rng.uniform(0.5, 2, (n, 1))
    for _ in range(int(rng.integers(3))):
        crowd = rng.choice(n, int(rng.integers(1, n // 3 + 1)), replace=False)
        rows[crowd] += rng.uniform(0, 60) * rng.choice([-1, 1], d)
    return np.rint(rows).astype(np.int64)


def errors(fleets: int, seed: int = 0) -> Iterator[float]:
    """For each fleet, by what share the largest variance over the third one is off."""
    rng = np.random.default_rng(seed)
    for _ in range(fleets):
        rows = random_updates(rng)
        gram = rows @ rows.T
        about = np.eye(len(rows)) - 1 / len(rows)
        values = np.linalg.eigvalsh(about @ gram @ about)[::-1]
        found = leading_directions(centred(gram), DIRECTIONS + 1)
        ratio = found[0].variance / found[DIRECTIONS].variance
        yield abs(ratio / (values[0] / values[DIRECTIONS]) - 1)


def main() -> None:
    """Print the median, the 99th percentile and the largest error."""
    found = np.fromiter(errors(int(sys.argv[1])), float)
    for name, error in (("median", 0.5), ("99th percentile", 0.99), ("largest", 1.0)):
        print(f"{name}: {100 * np.quantile(found, error):.2g} %")
    print(f"off by more than 1 %: {100 * np.mean(found > 0.01):.2g} %")


if __name__ == "__main__":
    main()
