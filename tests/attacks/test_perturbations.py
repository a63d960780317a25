"""The attacks on any rule against ByzFL's, and against their papers where ByzFL has none."""

from __future__ import annotations

from statistics import NormalDist

import byzfl
import numpy as np
import pytest
from hypothesis import given
from views import make_view, views

from bift_ros.attacks.interface import View
from bift_ros.attacks.perturbations import (
    ALittleIsEnough,
    Gaussian,
    InnerProduct,
    MinMax,
    SignFlip,
    z_max,
)


def byzfl_inputs(view: View) -> np.ndarray:
    return view.honest.astype(np.float64)


@given(views())
def test_sign_flip_is_byzfls(view: View) -> None:
    expected = byzfl.SignFlipping()(byzfl_inputs(view))
    np.testing.assert_allclose(SignFlip().vectors(view), expected, atol=1e-9)


@given(views())
def test_inner_product_is_byzfls(view: View) -> None:
    for epsilon in (0.1, 2.0):
        expected = byzfl.InnerProductManipulation(epsilon)(byzfl_inputs(view))
        np.testing.assert_allclose(InnerProduct(epsilon).vectors(view), expected, atol=1e-9)


@given(views().filter(lambda view: len(view.honest) > 1))
def test_alie_is_byzfls(view: View) -> None:
    for z in (-0.5, 1.5):
        expected = byzfl.ALittleIsEnough(z)(byzfl_inputs(view))
        np.testing.assert_allclose(ALittleIsEnough(z).vectors(view), expected, atol=1e-9)


@pytest.mark.parametrize(("members", "attackers"), [(50, 24), (30, 12), (11, 5)])
def test_alie_leaves_a_majority_beyond_its_z(members: int, attackers: int) -> None:
    # Baruch et al. 2019, algorithm 3: s honest updates further out make a majority with m.
    supporters = members // 2 + 1 - attackers
    beyond = (1 - NormalDist().cdf(z_max(members, attackers))) * (members - attackers)
    assert beyond == pytest.approx(supporters)
    view = make_view(honest=members - attackers, attackers=attackers)
    default, explicit = ALittleIsEnough(), ALittleIsEnough(z_max(members, attackers))
    assert np.array_equal(default.craft(view), explicit.craft(view))


def test_alie_without_a_possible_majority_takes_the_z_of_the_papers_experiments() -> None:
    assert z_max(4, 1) == z_max(5, 4) == z_max(1, 1) == 1.5


def searched_gamma(view: View, perturbation: np.ndarray) -> float:
    """Shejwalkar & Houmansadr 2021, algorithm 1: the search for γ, from 10 with halved steps."""
    honest = view.honest.astype(np.float64)
    mean = honest.mean(axis=0)
    largest = max(np.linalg.norm(a - b) for a in honest for b in honest)
    gamma, step, best = 10.0, 10.0, 0.0
    while step > 1e-9:
        vector = mean + gamma * perturbation
        if max(np.linalg.norm(vector - row) for row in honest) <= largest:
            best, gamma = gamma, gamma + step / 2
        else:
            gamma -= step / 2
        step /= 2
    return best


@pytest.mark.parametrize("seed", range(5))
def test_min_max_is_what_the_papers_search_finds(seed: int) -> None:
    view = make_view(honest=9, attackers=3, seed=seed)
    perturbation = -view.honest.std(axis=0, ddof=1, dtype=np.float64)
    mean = view.honest.mean(axis=0, dtype=np.float64)
    expected = mean + searched_gamma(view, perturbation) * perturbation
    np.testing.assert_allclose(MinMax().vectors(view), expected, atol=1e-6)


@given(views())
def test_min_max_is_no_outlier(view: View) -> None:
    honest = view.honest.astype(np.float64)
    largest = max(float(np.linalg.norm(a - b)) for a in honest for b in honest)
    vector = MinMax().vectors(view)
    farthest = max(float(np.linalg.norm(vector - row)) for row in honest)
    assert farthest <= largest * (1 + 1e-9) + 1e-9
    if largest > 1e-3:
        assert farthest == pytest.approx(largest)


def test_gaussian_noise_has_its_deviation_and_differs_between_attackers() -> None:
    crafted = Gaussian(sigma=0.3).craft(make_view(attackers=4, size=20_000))
    assert crafted.mean() == pytest.approx(0.0, abs=0.01)
    assert crafted.std() == pytest.approx(0.3, rel=0.02)
    assert np.abs(np.corrcoef(crafted) - np.eye(4)).max() < 0.05
