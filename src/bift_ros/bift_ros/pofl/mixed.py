"""Which rule an iteration uses where the task says "mixed" (paper section IV-A, Algorithm 2).

The paper takes one of three rules by ``t mod 3``. An attacker who foresees the rule shapes its
update for it, so `mixed` draws the rule from a seed that nobody knew when the updates were made
(`bift_ros.consensus.model_check.draw_seed`) and from the CIDs of all updates. `mixed_paper` keeps
the paper's formula.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

DRAWN = ("krum", "trimmed_mean", "bulyan")

Choice = Callable[[bytes, Sequence[str], int], str]
"""A rule's name from a seed, the sorted CIDs of all updates and the iteration."""


def drawn_rule(seed: bytes, cids: Sequence[str], iteration: int) -> str:
    """``SHA256(seed ‖ sorted CIDs in ASCII)``, as a big-endian number mod 3, in DRAWN."""
    digest = hashlib.sha256(seed + "".join(cids).encode()).digest()
    return DRAWN[int.from_bytes(digest, "big") % len(DRAWN)]


def paper_rule(seed: bytes, cids: Sequence[str], iteration: int) -> str:
    """Algorithm 2, lines 24 to 33: t mod 3 of 1 → Krum, 2 → trimmed mean, 0 → Bulyan."""
    return DRAWN[(iteration - 1) % len(DRAWN)]


MIXED_RULES: Mapping[str, Choice] = {"mixed": drawn_rule, "mixed_paper": paper_rule}
