"""Proof of work: hashes with enough leading zero bits (paper, equation for SHA256 < difficulty)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from bift_ros.consensus.blocks import MAX_NONCE, MIN_NONCE, Header

_NONCE_BYTES = 8
_TAIL_BYTES = 2
_TAILS = tuple(tail.to_bytes(_TAIL_BYTES, "big") for tail in range(1 << 8 * _TAIL_BYTES))


def meets(digest: bytes, difficulty: int) -> bool:
    """Tell whether the first `difficulty` bits of a 32-byte hash are zero."""
    return digest <= _limit(difficulty)


def search(header: Header, start_nonce: int, attempts: int) -> Header | None:
    """Try `attempts` nonces upwards from `start_nonce`; give the first header that has the work.

    `header`'s own nonce and hash don't matter. None comes back where no nonce fits, so that a
    miner can look up between calls. Nonces are kept in [2^32, 2^64): below, they wrap to the
    start of the range.
    """
    limit = _limit(header.difficulty)
    prefix = replace(header, nonce=MIN_NONCE).to_bytes()[:-_NONCE_BYTES]
    nonce = max(start_nonce, MIN_NONCE)
    while attempts > 0:
        if nonce > MAX_NONCE:
            nonce = MIN_NONCE
        # All but the last two bytes of the header are hashed once per 65,536 nonces.
        head, first = divmod(nonce, len(_TAILS))
        tails = _TAILS[first : first + attempts]
        state = hashlib.sha256(prefix + head.to_bytes(_NONCE_BYTES - _TAIL_BYTES, "big"))
        copy = state.copy
        for tail in tails:
            attempt = copy()
            attempt.update(tail)
            if attempt.digest() <= limit:
                return replace(header, nonce=head * len(_TAILS) + int.from_bytes(tail, "big"))
        attempts -= len(tails)
        nonce += len(tails)
    return None


def _limit(difficulty: int) -> bytes:
    return bytes.fromhex(f"{(1 << 256 - difficulty) - 1:064x}")
