"""What Byzantine vehicles can do: all that their own keys and work allow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, sign_block
from bift_ros.consensus.payloads import Payload
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.simulation.vehicle import Vehicle

_ATTEMPTS = 1_000_000
FORGED_URL = "simulated://forged"
"""An address that nobody has signed."""


class Byzantine(Vehicle):
    """A vehicle that breaks the protocol; each kind overrides what it breaks."""

    def forge(self, header: Header, body: Body, **changes: Any) -> Block:
        """A mined and signed block with this body, this header as far as it fits, and changes."""
        draft = replace(
            header, body_hash=body.hash, model_flag=int(body.model_info is not None), **changes
        )
        mined = search(draft, MIN_NONCE + self.rng.getrandbits(40), _ATTEMPTS)
        assert mined is not None, "the simulation's difficulty is low"
        return sign_block(self.key, mined, body)

    def keep(self, data: bytes) -> str:
        """Keep a file, and note whose it is."""
        cid = super().keep(data)
        self.fleet.byzantine_files.setdefault(cid, self.number)
        return cid

    def sign(self, sequence: int, payload: Payload) -> Transaction:
        """Sign as itself."""
        return sign_transaction(self.key, sequence, payload, self.genesis.hash)

    def another(self) -> Vehicle:
        """Draw another vehicle."""
        return self.rng.choice(self.fleet.others[self.number])
