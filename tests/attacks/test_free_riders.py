"""Free riders send what is not of their own training."""

from __future__ import annotations

import dataclasses

import byzfl
import numpy as np
import pytest
from views import make_view

from bift_ros.attacks.free_riders import FIRST_NOISE, CopyingFreeRider, DisguisedFreeRider
from bift_ros.attacks.interface import Attack


def test_with_full_knowledge_a_copy_is_byzfls_mimic() -> None:
    view = make_view(honest=2, attackers=3)
    crafted = CopyingFreeRider().craft(view)
    for attacker in range(3):
        assert np.array_equal(crafted[attacker], byzfl.Mimic(attacker % 2)(view.honest))


def test_with_own_knowledge_a_copy_is_the_last_movement() -> None:
    view = make_view("own")
    assert (CopyingFreeRider().craft(view) == view.previous).all()


def test_noise_is_as_large_as_real_updates() -> None:
    full, own = make_view("full", size=20_000), make_view("own", size=20_000)
    known = {full.knowledge: full.honest, own.knowledge: own.previous}
    for view in (full, own):
        size = float(np.sqrt(np.square(known[view.knowledge]).mean()))
        assert DisguisedFreeRider().craft(view).std() == pytest.approx(size, rel=0.02)
    still = dataclasses.replace(own, previous=np.zeros_like(own.previous))
    assert DisguisedFreeRider().craft(still).std() == pytest.approx(FIRST_NOISE, rel=0.02)


@pytest.mark.parametrize("attack", [CopyingFreeRider(), DisguisedFreeRider()])
@pytest.mark.parametrize("knowledge", ["full", "own"])
def test_free_riders_do_not_look_at_their_own_trainings(attack: Attack, knowledge: str) -> None:
    first, second = (make_view(knowledge) for _ in range(2))  # type: ignore[arg-type]
    assert attack.trainings == 0
    second = dataclasses.replace(second, own=np.full_like(second.own, np.nan))
    assert np.array_equal(attack.craft(first), attack.craft(second))
