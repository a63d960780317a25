"""The trimmed-mean attack against Fang et al. 2020, section 4.3, parameter by parameter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from views import make_view, views

from bift_ros.attacks.interface import View
from bift_ros.attacks.trimmed_mean_attack import TrimmedMeanAttack
from bift_ros.pofl.codec import encode_update
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES


def fang_interval(models: list[float], change: float, b: float) -> tuple[float, float]:
    """The interval of one parameter's attack values, from the honest models' values."""
    highest, lowest = max(models), min(models)
    if change <= 0:
        return (highest, b * highest) if highest > 0 else (highest, highest / b)
    return (lowest / b, lowest) if lowest > 0 else (b * lowest, lowest)


@given(views("full"))
@settings(max_examples=60)
def test_full_knowledge_draws_from_the_papers_intervals(view: View) -> None:
    crafted = TrimmedMeanAttack().vectors(view)
    start = view.global_model.astype(np.float64)
    for j in range(view.own.shape[1]):
        models = (start[j] + view.honest[:, j]).tolist()
        change = float(view.honest[:, j].mean(dtype=np.float64))
        low, high = fang_interval(models, change, b=2.0)
        assert (low - 1e-6 <= crafted[:, j] + start[j]).all()
        assert (crafted[:, j] + start[j] <= high + 1e-6).all()


@given(views("own"))
@settings(max_examples=60)
def test_own_knowledge_draws_three_to_four_deviations_away(view: View) -> None:
    crafted = TrimmedMeanAttack().vectors(view)
    mean = view.own.mean(axis=0, dtype=np.float64)
    spread = view.own.std(axis=0, ddof=1, dtype=np.float64) if len(view.own) > 1 else 0 * mean
    away = (mean - crafted) * np.where(mean > 0, 1, -1)
    assert (3 * spread - 1e-9 <= away).all()
    assert (away <= 4 * spread + 1e-9).all()


@pytest.mark.parametrize("knowledge", ["full", "own"])
def test_the_trimmed_mean_is_pushed_back(knowledge: str) -> None:
    view = make_view(knowledge, honest=14, attackers=6, size=500)  # type: ignore[arg-type]
    honest = make_view(honest=14, attackers=6, size=500).honest
    zero = np.zeros(500, np.int32)

    def trimmed_mean(own: np.ndarray) -> np.ndarray:
        rows = [encode_update(row, zero) for row in np.concatenate([own, honest])]
        return MODEL_RULES["trimmed_mean"].model(Round(zero, rows, [1] * 20, 6, 6)) * 2.0**-20

    signs = np.sign(honest.mean(axis=0))
    clean, attacked = (
        float((trimmed_mean(own) * signs).mean())
        for own in (view.own, TrimmedMeanAttack().craft(view))
    )
    assert attacked < 0.5 * clean
