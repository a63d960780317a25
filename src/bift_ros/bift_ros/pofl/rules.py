"""The six rules that make a model, by name, on plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.bulyan import bulyan_notes, bulyan_selection, mean_around_median
from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import distances_of, gram_matrix
from bift_ros.pofl.fedavg import fedavg, fedavg_notes
from bift_ros.pofl.krum import krum_choice, krum_notes, multi_krum_selection
from bift_ros.pofl.means import mean, weighted_mean
from bift_ros.pofl.robust import Weighting, robust_notes, robust_weighting
from bift_ros.pofl.trimmed_mean import trimmed_mean, trimmed_mean_notes

MODEL_RULES = ("fedavg", "krum", "multi_krum", "trimmed_mean", "bulyan", "robust")
"""The rules that make a model; the mixed ones draw from these."""


@dataclass(frozen=True)
class Round:
    """One iteration's updates in canonical order, and the numbers that every rule needs."""

    global_model: Int32Array
    """int32[d]: what the updates were trained from."""
    rows: Sequence[Int16Array]
    """n updates, int16[d] each; ties between updates go to the earlier one."""
    sample_counts: Sequence[int]
    """n claimed sample counts."""
    byzantine: int
    """f, the number of updates assumed hostile."""
    shift: int
    """The model's exponent less the updates'."""
    blocking: Blocking = field(default_factory=Blocking)

    @cached_property
    def gram(self) -> npt.NDArray[np.int64]:
        """Inner products int64[n, n], computed once where a rule or the rewards ask."""
        return gram_matrix(self.rows, self.blocking)

    @cached_property
    def distances(self) -> npt.NDArray[np.int64]:
        """Squared distances int64[n, n]."""
        return distances_of(self.gram)

    @cached_property
    def _multi_krum(self) -> list[int]:
        return multi_krum_selection(self.distances, self.byzantine)

    @cached_property
    def _robust(self) -> Weighting:
        return robust_weighting(self.gram, self.byzantine)

    def contributors(self, rule: str) -> list[int]:
        """The indices of the updates that are rewarded under a rule: robust's own, else
        multi-Krum's n − f."""
        return self._robust.contributors if rule == "robust" else self._multi_krum

    def model(self, rule: str) -> Int32Array:
        """The new global model int32[d] under one of MODEL_RULES."""
        start, rows, f, shift, blocking = (
            self.global_model, self.rows, self.byzantine, self.shift, self.blocking,
        )  # fmt: skip
        if rule == "fedavg":
            return fedavg(start, rows, self.sample_counts, shift, blocking)
        if rule == "krum":
            return mean(start, [rows[krum_choice(self.distances, f)]], shift, blocking)
        if rule == "multi_krum":
            return mean(start, [rows[i] for i in self._multi_krum], shift, blocking)
        if rule == "robust":
            made = self._robust
            chosen = [rows[i] for i in made.indices]
            return weighted_mean(start, chosen, made.weights, made.total, shift, blocking)
        if rule == "trimmed_mean":
            return trimmed_mean(start, rows, f, shift, blocking)
        selected = [rows[i] for i in bulyan_selection(self.distances, f)]
        return mean_around_median(start, selected, f, shift, blocking)

    def notes(self, rule: str) -> tuple[str, ...]:
        """Where this round falls short of what the rule's paper asks for."""
        n, f = len(self.rows), self.byzantine
        if rule == "fedavg":
            return fedavg_notes(self.sample_counts)
        if rule in ("krum", "multi_krum"):
            return krum_notes(n, f)
        if rule == "robust":
            return robust_notes(n, f)
        return trimmed_mean_notes(n, f) if rule == "trimmed_mean" else bulyan_notes(n, f)
