"""The Krum attack against Fang et al. 2020 and equation 6 of the paper, and against PoFL's Krum."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from views import make_view, views

from bift_ros.attacks.interface import Updates, View
from bift_ros.attacks.krum_attack import BulyanAttack, KrumAttack, lambda_bound
from bift_ros.pofl.codec import encode_update
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES


def equation_6(honest: Updates, c: int) -> float:
    """The paper's equation 6, written as it stands there; w_Re is the origin of updates."""
    m, d = len(honest) + c, honest.shape[1]
    vectors = [np.asarray(row, np.float64) for row in honest]
    sums = []
    for i, a in enumerate(vectors):
        squared = sorted(float(np.sum((a - b) ** 2)) for j, b in enumerate(vectors) if j != i)
        sums.append(sum(squared[: m - c - 2]))
    farthest = max(float(np.linalg.norm(vector)) for vector in vectors)
    return sqrt(min(sums) / ((m - 2 * c - 1) * d)) + farthest / sqrt(d)


def encoded(updates: Updates) -> list[np.ndarray]:
    zero = np.zeros(updates.shape[1], np.int32)
    return [encode_update(update, zero) for update in updates]


def chosen_by_pofl(crafted: Updates, honest: Updates) -> int:
    """Which update PoFL's Krum makes the model of, by its row."""
    rows = encoded(np.concatenate([crafted, honest]))
    start = np.zeros(honest.shape[1], np.int32)
    model = MODEL_RULES["krum"].model(Round(start, rows, [1] * len(rows), len(crafted), 6))
    return next(i for i, row in enumerate(rows) if np.array_equal(row.astype(np.int32) * 64, model))


@given(views("full").filter(lambda view: view.members > 2 * view.attackers + 1))
@settings(max_examples=100)
def test_the_bound_is_equation_6(view: View) -> None:
    assert lambda_bound(view.honest, view.attackers) == pytest.approx(
        equation_6(view.honest, view.attackers), rel=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_krum_selects_the_largest_lambda_of_the_halvings(seed: int) -> None:
    view = make_view(honest=14, attackers=6, size=300, seed=seed)
    crafted = KrumAttack().craft(view)
    signs = np.sign(view.honest.mean(axis=0))
    factor = -float((crafted[0] * signs).mean())
    assert np.allclose(crafted[0], -factor * signs, atol=1e-6)
    assert chosen_by_pofl(crafted, view.honest) < 6
    halvings = np.log2(lambda_bound(view.honest, 6) / factor)
    assert halvings == pytest.approx(round(halvings), abs=1e-3)
    if round(halvings) > 0:  # twice as far would not have been selected
        too_far = np.broadcast_to(2 * crafted[0], crafted.shape)
        assert chosen_by_pofl(too_far, view.honest) >= 6


def test_the_other_attackers_stay_within_epsilon() -> None:
    crafted = KrumAttack(epsilon=0.01).craft(make_view(attackers=5, size=30))
    distances = np.linalg.norm(crafted[1:] - crafted[0], axis=1)
    assert (distances <= 0.01 + 1e-6).all()
    assert (distances > 0).all()
    assert all(not np.array_equal(a, b) for a, b in pairwise(crafted))


def test_with_own_knowledge_copies_are_added_until_krum_selects_one() -> None:
    view = make_view("own", attackers=6, size=300)
    crafted = KrumAttack().craft(view)
    signs = np.sign(view.own.mean(axis=0))
    factor = -float((crafted[0] * signs).mean())
    assert factor > 1e-3
    picks = [
        chosen_by_pofl(np.broadcast_to(crafted[0], (copies, 300)), view.own) < copies
        for copies in range(1, 7)
    ]
    assert any(picks)


def test_without_a_solution_the_global_model_is_sent_back() -> None:
    honest = np.full((5, 8), 0.5, np.float32)
    view = make_view(honest=5, attackers=1, size=8)
    view = View("full", honest, view.own, 6, view.global_model, view.previous, view.rng)
    crafted = KrumAttack().craft(view)
    assert (encoded(crafted)[0] == 0).all()


def test_the_attack_on_bulyan_is_the_krum_attack() -> None:
    views_of_one_seed = make_view(seed=3), make_view(seed=3)
    first, second = (
        attack.craft(view)
        for attack, view in zip((KrumAttack(), BulyanAttack()), views_of_one_seed, strict=True)
    )
    assert np.array_equal(first, second)
