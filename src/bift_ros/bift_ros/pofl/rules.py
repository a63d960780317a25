"""The six rules that make a model, each an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bift_ros.pofl.bulyan import bulyan, bulyan_notes
from bift_ros.pofl.codec import Int32Array
from bift_ros.pofl.fedavg import fedavg, fedavg_notes
from bift_ros.pofl.krum import krum_choice, krum_notes
from bift_ros.pofl.means import mean, weighted_mean
from bift_ros.pofl.robust import robust_notes
from bift_ros.pofl.round import Round
from bift_ros.pofl.trimmed_mean import trimmed_mean, trimmed_mean_notes


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


def _krum(r: Round) -> Int32Array:
    return mean(r, [r.rows[krum_choice(r.distances, r.byzantine)]])


def _multi_krum(r: Round) -> Int32Array:
    return mean(r, r.selected(r.multi_krum))


def _robust(r: Round) -> Int32Array:
    made = r.weighting
    return weighted_mean(r, r.selected(made.indices), made.weights, made.total)


def _needing(
    notes: Callable[[int, int], tuple[str, ...]],
) -> Callable[[Round], tuple[str, ...]]:
    """Notes on a round whose n and f alone matter."""
    return lambda r: notes(len(r.rows), r.byzantine)


MODEL_RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("fedavg", fedavg, lambda r: fedavg_notes(r.sample_counts)),
        Rule("krum", _krum, _needing(krum_notes)),
        Rule("multi_krum", _multi_krum, _needing(krum_notes)),
        Rule("trimmed_mean", trimmed_mean, _needing(trimmed_mean_notes)),
        Rule("bulyan", bulyan, _needing(bulyan_notes)),
        Rule("robust", _robust, _needing(robust_notes), lambda r: r.weighting.contributors),
    )
}
"""The rules that make a model, by name; the mixed ones draw from these."""
