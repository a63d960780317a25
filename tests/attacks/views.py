"""Views to attack from, with updates like those of a training."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from bift_ros.attacks.interface import Knowledge, View


def make_view(
    knowledge: Knowledge = "full",
    *,
    honest: int = 7,
    attackers: int = 3,
    size: int = 50,
    seed: int = 0,
    noise: float = 0.05,
) -> View:
    """Updates that share a direction of learning, each with noise of its own."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(0, 0.02, size)
    updates = (direction + rng.normal(0, noise, (honest + attackers, size))).astype(np.float32)
    return View.of(
        knowledge,
        honest=updates[attackers:],
        own=updates[:attackers],
        global_model=rng.normal(0, 0.1, size).astype(np.float32),
        previous=rng.normal(0, 0.02, size).astype(np.float32),
        rng=np.random.default_rng(seed + 1),
    )


@st.composite
def views(draw: st.DrawFn, knowledge: Knowledge | None = None) -> View:
    """Any fleet of up to 8 honest vehicles and 5 attackers."""
    return make_view(
        knowledge or draw(st.sampled_from(["full", "own"])),
        honest=draw(st.integers(1, 8)),
        attackers=draw(st.integers(1, 5)),
        size=draw(st.integers(1, 40)),
        seed=draw(st.integers(0, 2**20)),
        noise=draw(st.sampled_from([0.0, 0.01, 0.5, 10.0])),
    )
