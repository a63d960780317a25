"""What an attack is, and what attackers know when they craft their updates.

Updates are float32 vectors ``local − global``. The chain says them in fixed point (`pofl.codec`),
so what an attack crafts is finite and within that range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from bift_ros.learning.local_round import Images, Labels
from bift_ros.pofl.codec import UPDATE_EXPONENT, Int16Array, encode_update

Updates = npt.NDArray[np.float32]
"""Updates float32[k, d], or one vector float32[d]."""
Knowledge = Literal["full", "own"]
KNOWLEDGE: tuple[Knowledge, ...] = get_args(Knowledge)

UPDATE_LIMIT = np.iinfo(np.int16).max * 2.0**-UPDATE_EXPONENT
"""No parameter of an update can move further than this: just under 2."""


@dataclass(frozen=True)
class View:
    """What the attackers know in one iteration."""

    knowledge: Knowledge
    """`full`: the updates of all honest vehicles; `own`: only what the attackers trained."""
    honest: Updates
    """float32[h, d], h ≥ 1: the honest updates that they know. With `own` knowledge, what trainings
    on the attackers' own crops gave stands for them."""
    own: Updates
    """float32[m, d], m ≥ 1: what each attacker's own training gave (on poisoned crops, where the
    attack poisons)."""
    members: int
    """n: how many vehicles submit an update, the attackers among them, as far as these know."""
    global_model: Updates
    """float32[d]: the global model that all train from."""
    previous: Updates
    """float32[d]: how the global model moved in the last iteration; zeros at first."""
    rng: np.random.Generator

    @classmethod
    def of(
        cls,
        knowledge: Knowledge,
        *,
        honest: Updates,
        own: Updates,
        global_model: Updates,
        previous: Updates,
        rng: np.random.Generator,
    ) -> View:
        """The view in a fleet of these honest vehicles and attackers, under either knowledge.

        Under `own`, not one value of `honest` is looked at: ``own`` stands for it. Raises
        ValueError for another knowledge.
        """
        if knowledge not in KNOWLEDGE:
            raise ValueError(f"unknown knowledge {knowledge!r}: choose {' or '.join(KNOWLEDGE)}")
        known = honest if knowledge == "full" else own
        members = len(honest) + len(own)
        return cls(knowledge, known, own, members, global_model, previous, rng)

    @property
    def attackers(self) -> int:
        """m, which the papers call c or f."""
        return len(self.own)


class Attack:
    """What malicious vehicles do to their crops and to their updates; by default, nothing.

    The same view, or crops and seed, give the same result. Subclasses override `poison`, `vectors`
    or both.
    """

    trainings: ClassVar[int] = 1
    """How many trainings a vehicle that attacks alone needs: none for a free rider, several where
    the attack measures how updates spread."""
    waits: ClassVar[bool] = False
    """Whether full knowledge helps: the attackers then craft only once they have seen this
    iteration's honest updates, so they are the last to send."""

    def poison(
        self, images: Images, labels: Labels, rng: np.random.Generator
    ) -> tuple[Images, Labels]:
        """The crops that an attacker trains on, from its own; the arguments stay as they are."""
        return images, labels

    def craft(self, view: View) -> Updates:
        """The updates float32[m, d] that the attackers send: finite and in the codec's range."""
        vectors = np.broadcast_to(self.vectors(view), view.own.shape)
        return np.clip(vectors, -UPDATE_LIMIT, UPDATE_LIMIT).astype(np.float32)

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """What to send before it is clipped: float[m, d], or float[d] where all send the same."""
        return view.own


def encode_to_fixed_point(update: npt.NDArray[np.floating]) -> Int16Array:
    """An update float[d] as the chain says it, int16[d]."""
    return encode_update(update, np.zeros(update.shape, np.int32))
