"""How a liar makes a block to its liking: with real work and a real signature, its own."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, sign_block
from bift_ros.consensus.proof_of_work import search
from bift_ros.identity.keys import KeyPair

_ATTEMPTS = 1_000_000


def forge(key: KeyPair, rng: random.Random, header: Header, body: Body, **changes: Any) -> Block:
    """A block with this body and this header, as far as they fit, and `changes` to the header."""
    draft = replace(
        header,
        body_hash=body.hash,
        model_flag=int(body.model_info is not None),
        **changes,
    )
    mined = search(draft, MIN_NONCE + rng.getrandbits(40), _ATTEMPTS)
    assert mined is not None, "the simulation's difficulty is low"
    return sign_block(key, mined, body)
