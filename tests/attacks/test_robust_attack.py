"""The attack made for `robust`: it does what the rule does not see, and the most of that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from views import make_view

from bift_ros.attacks.interface import KNOWLEDGE, Knowledge, Updates, View, encode_to_fixed_point
from bift_ros.attacks.krum_attack import KrumAttack
from bift_ros.attacks.perturbations import ALittleIsEnough, InnerProduct, MinMax, SignFlip
from bift_ros.attacks.robust_attack import RobustAttack
from bift_ros.attacks.spread import deviation
from bift_ros.pofl.codec import Int16Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import distances_of, gram_matrix
from bift_ros.pofl.robust import without_copies
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES


def fleet(seed: int = 0, knowledge: Knowledge = "full") -> View:
    """21 honest vehicles and nine attackers, as in the paper."""
    return make_view(knowledge, honest=21, attackers=9, size=400, seed=seed)


def against(view: View) -> np.ndarray:
    """The direction of the pull, of length 1."""
    direction = -deviation(view.honest) * np.sign(view.honest.mean(axis=0))
    unit: np.ndarray = direction / np.linalg.norm(direction)
    return unit


def encoded(view: View, crafted: Updates) -> list[Int16Array]:
    return [encode_to_fixed_point(update) for update in (*view.honest, *crafted)]


def moved_by_robust(view: View, crafted: Updates) -> np.ndarray:
    rows = encoded(view, crafted)
    start = np.zeros(crafted.shape[1], np.int32)
    return (
        MODEL_RULES["robust"].model(Round(start, rows, [1] * len(rows), len(crafted), 6)) * 2.0**-20
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_attacker_is_a_copy(seed: int) -> None:
    view = fleet(seed)
    rows = encoded(view, RobustAttack().craft(view))
    kept, _ = without_copies(gram_matrix(rows, Blocking()), 9)
    assert kept == list(range(30))


@pytest.mark.parametrize("seed", range(5))
def test_it_pulls_further_than_what_is_sent_nine_times(seed: int) -> None:
    view = fleet(seed)
    mean = view.honest.mean(axis=0)

    def pulled(crafted: Updates) -> float:
        return float((moved_by_robust(view, crafted) - mean) @ against(view))

    others = [InnerProduct(), SignFlip(), MinMax(), ALittleIsEnough(), KrumAttack()]
    pull = pulled(RobustAttack().craft(view))
    spread = float(np.sqrt(np.square(view.honest - mean).sum() / 21))
    assert pull > 0.1 * spread
    assert pull > 10 * max(pulled(attack.craft(view)) for attack in others)


@pytest.mark.parametrize("seed", range(5))
def test_pulling_three_times_as_hard_moves_less(seed: int) -> None:
    view = fleet(seed)
    mean = view.honest.mean(axis=0)
    crafted = RobustAttack().craft(view)
    pull = crafted.mean(axis=0) - mean
    moved, harder = (
        float((moved_by_robust(view, updates) - mean) @ pull)
        for updates in (crafted, (crafted + 2 * pull).astype(np.float32))
    )
    assert harder < moved


def test_attackers_are_as_unlike_as_honest_vehicles() -> None:
    view = fleet()
    rows = encoded(view, RobustAttack().craft(view))
    distances = distances_of(gram_matrix(rows, Blocking()))
    honest, attackers = (
        float(np.mean(distances[part, part][np.triu_indices(count, 1)]))
        for part, count in ((slice(21), 21), (slice(21, 30), 9))
    )
    assert attackers == pytest.approx(honest, rel=0.2)


def test_where_nothing_is_learned_nothing_is_pulled() -> None:
    still = make_view(honest=4, attackers=2, noise=0.0)
    still = replace(still, honest=np.zeros_like(still.honest))
    assert not RobustAttack().craft(still).any()


def test_with_own_knowledge_it_pulls_but_less() -> None:
    def pulled(knowledge: Knowledge, seed: int) -> float:
        view = fleet(seed)
        crafted = RobustAttack().craft(fleet(seed, knowledge))
        moved = moved_by_robust(view, crafted) - view.honest.mean(axis=0)
        return float(moved @ against(view))

    full, own = (np.mean([pulled(k, seed) for seed in range(5)]) for k in KNOWLEDGE)
    assert 0.2 * full < own < 0.8 * full
