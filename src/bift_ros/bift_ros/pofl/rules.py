"""The six rules that make a model, each an object, and what they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class Round:
    """One iteration's updates in canonical order, and the numbers that rules share."""

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
    def multi_krum(self) -> list[int]:
        """The indices of multi-Krum's n − f updates."""
        return multi_krum_selection(self.distances, self.byzantine)

    @cached_property
    def weighting(self) -> Weighting:
        """What `robust` makes of the updates."""
        return robust_weighting(self.gram, self.byzantine)

    def selected(self, indices: Sequence[int]) -> list[Int16Array]:
        """Some of the updates."""
        return [self.rows[i] for i in indices]


@dataclass(frozen=True)
class Rule:
    """One way to make a model of a round's updates."""

    name: str
    model: Callable[[Round], Int32Array]
    """The new global model int32[d]."""
    notes: Callable[[Round], tuple[str, ...]]
    """Where a round falls short of what the rule's paper asks for, mostly of n for its f."""
    contributors: Callable[[Round], list[int]] = lambda round_: round_.multi_krum
    """The indices of the updates that are rewarded."""


def _fedavg(r: Round) -> Int32Array:
    return fedavg(r.global_model, r.rows, r.sample_counts, r.shift, r.blocking)


def _krum(r: Round) -> Int32Array:
    chosen = r.selected([krum_choice(r.distances, r.byzantine)])
    return mean(r.global_model, chosen, r.shift, r.blocking)


def _multi_krum(r: Round) -> Int32Array:
    return mean(r.global_model, r.selected(r.multi_krum), r.shift, r.blocking)


def _trimmed_mean(r: Round) -> Int32Array:
    return trimmed_mean(r.global_model, r.rows, r.byzantine, r.shift, r.blocking)


def _bulyan(r: Round) -> Int32Array:
    chosen = r.selected(bulyan_selection(r.distances, r.byzantine))
    return mean_around_median(r.global_model, chosen, r.byzantine, r.shift, r.blocking)


def _robust(r: Round) -> Int32Array:
    made = r.weighting
    chosen = r.selected(made.indices)
    return weighted_mean(r.global_model, chosen, made.weights, made.total, r.shift, r.blocking)


def _needing(
    notes: Callable[[int, int], tuple[str, ...]],
) -> Callable[[Round], tuple[str, ...]]:
    """Notes on a round whose n and f alone matter."""
    return lambda r: notes(len(r.rows), r.byzantine)


MODEL_RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("fedavg", _fedavg, lambda r: fedavg_notes(r.sample_counts)),
        Rule("krum", _krum, _needing(krum_notes)),
        Rule("multi_krum", _multi_krum, _needing(krum_notes)),
        Rule("trimmed_mean", _trimmed_mean, _needing(trimmed_mean_notes)),
        Rule("bulyan", _bulyan, _needing(bulyan_notes)),
        Rule("robust", _robust, _needing(robust_notes), lambda r: r.weighting.contributors),
    )
}
"""The rules that make a model, by name; the mixed ones draw from these."""
