"""Which rule an iteration uses where the task says "mixed" (paper section IV-A, Algorithm 2).

The paper takes one of three rules by ``t mod 3``. An attacker who foresees the rule shapes its
update for it, so `mixed` draws the rule from what nobody controls: the hash of the parent block and
of the CIDs of all updates (DESIGN section 5). `mixed_paper` keeps the paper's formula.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

DRAWN = ("krum", "trimmed_mean", "bulyan")


def drawn_rule(previous_hash: bytes, cids: Iterable[str]) -> str:
    """``SHA256(previous_hash ‖ sorted CIDs in ASCII)``, as a big-endian number mod 3, in DRAWN."""
    digest = hashlib.sha256(previous_hash + "".join(sorted(cids)).encode()).digest()
    return DRAWN[int.from_bytes(digest, "big") % len(DRAWN)]


def paper_rule(t: int) -> str:
    """Algorithm 2, lines 24 to 33: 1 → Krum, 2 → trimmed mean, otherwise Bulyan."""
    return {1: "krum", 2: "trimmed_mean"}.get(t % 3, "bulyan")
