"""Members who sign and mine what they are told to, for simulations, benches and tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, ModelInfo, sign_block
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import Learning, ModelUpdate, Payload
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.transition import claimed_accuracy
from bift_ros.consensus.votes import Stage, Statement, sign_vote
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of

START_MS = 1_700_000_000_000
"""When their chains begin, milliseconds since the Unix epoch."""
_ATTEMPTS = 1_000_000


class Consortium:
    """Keys, and the genesis that names their owners. Holds no chain: states are handed in."""

    def __init__(
        self,
        size: int,
        policy: Policy,
        *,
        chain: str = "test",
        member: str = "vehicle{}",
        secret: str = "vehicle {}",
        newcomers: int = 0,
    ) -> None:
        """Make `size` members; `member` and `secret` give a number's name and the key's seed.

        The genesis leaves out the last of them, as many as there are `newcomers`.
        """
        self.keys = [
            KeyPair.from_seed(hashlib.sha256(secret.format(number).encode()).digest())
            for number in range(size)
        ]
        self.members = [
            Member(member.format(number), key.public_key) for number, key in enumerate(self.keys)
        ]
        """All, by number, those too who are to join."""
        founders = tuple(self.members[: size - newcomers])
        self.genesis = Genesis(chain, START_MS, founders, policy)
        self.start = initial_state(self.genesis)

    def address(self, member: int) -> str:
        """A member's account."""
        return self.keys[member].address

    def sign(
        self, member: int, payload: Payload, state: State | None = None, *, ahead: int = 0
    ) -> Transaction:
        """A transaction with the member's next sequence number in `state`, or one `ahead`."""
        sequence = (state or self.start).next_sequence(self.address(member)) + ahead
        if isinstance(payload, Learning):
            sequence = payload.iteration
        return sign_transaction(self.keys[member], sequence, payload, self.genesis.hash)

    def announce(self, member: int, state: State, **fields: Any) -> Transaction:
        """The member's update for the iteration that is going on; `fields` are the other ones."""
        task = state.task
        assert task is not None, "an update is for a task"
        what: dict[str, Any] = {
            "model_id": task.model_id,
            "iteration": task.current_iter + 1,
            "base_cid": task.global_cid,
        }
        return self.sign(member, ModelUpdate(**what | fields), state)

    def made_up_info(
        self, state: State, transactions: Sequence[Transaction], salt: object = ""
    ) -> ModelInfo:
        """A model info in which all updaters contribute; nobody has the model's file."""
        task = state.task
        assert task is not None, "a model is a task's"
        senders = {tx.sender for tx in transactions if isinstance(tx.payload, ModelUpdate)}
        contributors = tuple(sorted(senders))
        number = task.current_iter + 1
        return ModelInfo(
            task.model_id,
            task.proposal.init_cid,
            cid_of(repr(("global", number, contributors, salt)).encode()),
            task.proposal.total_iter,
            number,
            task.proposer,
            claimed_accuracy(tuple(transactions), contributors),
            "fedavg",
            contributors,
        )

    def block(
        self,
        state: State,
        transactions: Sequence[Transaction] = (),
        info: ModelInfo | None = None,
        *,
        miner: int = 0,
        later: int = 1000,
        **header: Any,
    ) -> Block:
        """A mined and signed block on `state`, stamped `later` ms after it."""
        body = Body(tuple(transactions), info)
        draft = Header(
            state.height + 1,
            state.timestamp + later,
            state.tip_hash,
            body.hash,
            int(info is not None),
            self.address(miner),
            self.genesis.policy.difficulty,
            MIN_NONCE,
        )
        mined = search(replace(draft, **header), MIN_NONCE, _ATTEMPTS)
        assert mined is not None, "the difficulty is low"
        return sign_block(self.keys[miner], mined, body)

    def certificate(self, state: State, voters: Iterable[int] | None = None) -> bytes:
        """The votes of all present members, or of some, that make the block of `state` final."""
        said = Statement(1, state.height, state.tip_hash, state_digest(state), 0, self.genesis.hash)
        present = [n for n in range(len(self.keys)) if self.address(n) in state.members]
        keys = [self.keys[n] for n in (present if voters is None else voters)]
        votes = (sign_vote(key, self.genesis.hash, Stage.PRECOMMIT, said) for key in keys)
        return Quorum.of(votes).to_bytes()
