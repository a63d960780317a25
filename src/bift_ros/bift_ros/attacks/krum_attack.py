"""The Krum attack, and its use against Bulyan (Fang et al., USENIX Security 2020, section 4.2).

Let s be the signs of the change that the global model would make without an attack. One model
``w′ = w_Re − λ·s`` is crafted, with the largest λ for which Krum still selects it: it moves the
global model most against that change. The other attackers send models at most ε from it, so that
it has near neighbours. As an update, ``w′ − w_Re``, it is ``−λ·s``.

λ starts at the upper bound of theorem 1 (equation 6 of He et al. 2022) and is halved until Krum
selects a crafted update. Under 1e-5 there is no solution. Krum is taken to assume as many attackers
as there are.

With own knowledge the attackers' clean updates stand for the honest ones, as in the paper: first
beside one crafted copy, then with one more at a time until λ is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, Updates, View, encode_to_fixed_point
from bift_ros.pofl.codec import Int16Array
from bift_ros.pofl.distances import squared_distances
from bift_ros.pofl.krum import krum_choice

SMALLEST_LAMBDA = 1e-5


@dataclass(frozen=True)
class KrumAttack(Attack):
    """Make Krum select a model that lies against the direction of learning (Fang et al. 2020).

    Where no λ is found, the attackers send ``−1e-5·s``: in fixed point, the unmoved global model.
    """

    trainings: ClassVar[int] = 3
    waits: ClassVar[bool] = True

    epsilon: float = 0.01
    """ε: how far the other attackers' updates lie from the crafted one, at most (Euclidean)."""

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """float64[m, d]: the crafted update, then its neighbours."""
        direction = np.sign(view.honest.mean(axis=0, dtype=np.float64))
        crafted: npt.NDArray[np.float64] = -self._largest_lambda(view, direction) * direction
        offsets = view.rng.normal(size=view.own.shape)
        lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
        offsets *= self.epsilon * view.rng.random((view.attackers, 1)) / np.maximum(lengths, 1e-12)
        offsets[0] = 0.0
        return crafted + offsets

    def _largest_lambda(self, view: View, direction: npt.NDArray[np.floating]) -> float:
        honest = [encode_to_fixed_point(update) for update in view.honest]
        fewest = view.attackers if view.knowledge == "full" else 1
        bound = lambda_bound(view.honest, view.attackers)
        for copies in range(fewest, view.attackers + 1):
            factor = bound
            while factor >= SMALLEST_LAMBDA:
                crafted = encode_to_fixed_point(-factor * direction)
                if krum_selects(crafted, copies, honest):
                    return factor
                factor /= 2
        return SMALLEST_LAMBDA


@dataclass(frozen=True)
class BulyanAttack(KrumAttack):
    """The Krum attack, against Bulyan: its selection is repeated Krum (He et al. 2022, VI-B 3)."""


def lambda_bound(honest: Updates, attackers: int) -> float:
    """The upper bound of λ (theorem 1; equation 6 of He et al. 2022).

    ``honest`` is float32[m − c, d]. Of m vehicles c attack, D is the Euclidean distance::

        √(1 / ((m − 2c − 1)·d) · min over i of Σ over the m − c − 2 nearest l of D²(w_l, w_i))
            + 1/√d · max over i of D(w_i, w_Re)

    Where m − 2c − 1 < 1, it counts as 1: Krum does not claim to bear so many attackers.
    """
    count, size = honest.shape
    values = honest.astype(np.float64)
    norms = np.einsum("id,id->i", values, values)
    squared = np.maximum(norms[:, None] + norms[None, :] - 2 * values @ values.T, 0.0)
    np.fill_diagonal(squared, np.inf)
    nearest = np.sort(squared, axis=1)[:, : max(count - 2, 0)]
    divisor = max(count - attackers - 1, 1) * size
    return float(np.sqrt(nearest.sum(axis=1).min() / divisor) + np.sqrt(norms.max() / size))


def krum_selects(crafted: Int16Array, copies: int, honest: list[Int16Array]) -> bool:
    """Whether Krum, told of ``copies`` attackers, selects one of so many equal crafted updates."""
    distances = squared_distances([*[crafted] * copies, *honest])
    return krum_choice(distances, copies) < copies
