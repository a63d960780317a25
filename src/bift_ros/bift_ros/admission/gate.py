"""The one way in for transactions, blocks and tips, which anybody on the fleet's bus can publish.

In this order, each step cheaper than what it spares: size, what was let in already, the member that
the bytes name, its budget, the work of a block, the signature. Only then is anything decoded but
the flat header of a block. Whoever is handed the object need not check its signature again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from bift_ros.admission.budgets import (
    BLOCK_RATES,
    RESERVE,
    TIP_RATES,
    TRANSACTION_RATES,
    Budgets,
    Limits,
)
from bift_ros.admission.cdr import CdrError, canonical_bytes
from bift_ros.admission.exceptions import NotAdmitted, OverBudget
from bift_ros.admission.known import Known
from bift_ros.chain import tips
from bift_ros.chain.tips import MAX_TIP_BYTES, SignedTip
from bift_ros.consensus import transactions
from bift_ros.consensus.authorship import (
    check_body_hash,
    check_miner_signature,
    check_work,
    miner_of,
)
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, parse_body, parse_envelope
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.fields import MAX_INTEGER
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import (
    MAX_GROUP_KEY_BYTES,
    Transaction,
    remember_signature,
)
from bift_ros.limits.token_bucket import Bucket

_T = TypeVar("_T", Transaction, Block, SignedTip)
_Envelope = TypeVar("_Envelope", Transaction, SignedTip)


class _Said(NamedTuple):
    what: str
    name: bytes
    size: int
    member: Member
    """Whom it names."""


class Gate:
    """Lets in what members have signed, as much as a member sends. Not to be used concurrently.

    Every `now` is in milliseconds of a clock that only goes forward.
    """

    def __init__(
        self,
        genesis: Genesis,
        address: str,
        members: Mapping[str, Member],
        has_block: Callable[[bytes], bool],
        state: State,
    ) -> None:
        """`members` is everybody who is or was one, `has_block` tells of a block in the tree."""
        self.state = state
        """After the tip, or a little before: what it has left behind is let in no more."""
        self.wall = MAX_INTEGER
        """Milliseconds since the Unix epoch, as this vehicle's clock has it."""
        self._genesis, self._address = genesis, address
        self._members, self._has_block = members, has_block
        self._known = Known()
        self._stamps: dict[str, int] = {}
        """When each member's newest tip was said."""
        reserve = Bucket(RESERVE)
        self._transactions = Budgets(Limits(MAX_GROUP_KEY_BYTES, *TRANSACTION_RATES), reserve)
        self._blocks = Budgets(Limits(MAX_BLOCK_BYTES, *BLOCK_RATES), reserve)
        self._tips = Budgets(Limits(MAX_TIP_BYTES, *TIP_RATES), reserve)

    def transaction(self, message: bytes, now: int) -> Transaction | None:
        """Give the transaction of a message in CDR, or None where it is nothing new.

        Raises NotAdmitted.
        """
        genesis = self._genesis
        data = _canonical("transaction", message, self._transactions)
        name = sha256(data)
        if self._known.is_replay(name, now):
            return None
        with _refusing("transaction"):
            member = transactions.named_member(data, genesis, self._members)

        def check() -> None:
            transactions.check_signed(data, member, genesis)

        def read() -> Transaction:
            return self._signed(Transaction.from_bytes(data), member)

        said = _Said("transaction", name, len(data), member)
        known = name in self._known  # and so is its signature
        return self._judge(
            said, self._transactions, now, None if known else check, read, self._is_old
        )

    def tip(self, message: bytes, now: int) -> SignedTip | None:
        """As `transaction`; of each member only a newer one than the last is let in.

        Who was further ahead for one tip than the genesis allows is heard again.
        """
        genesis = self._genesis
        data = _canonical("tip", message, self._tips)
        name = sha256(data)
        if self._known.is_replay(name, now):
            return None
        with _refusing("tip"):
            member = tips.named_member(data, genesis, self._members)
        if member.address == self._address:
            return None

        def check() -> None:
            tips.check_signed(data, member, genesis)

        def read() -> SignedTip:
            return self._signed(SignedTip.from_bytes(data), member)

        def is_old(tip: SignedTip) -> bool:
            return tip.stamp <= self._stamps.get(tip.sender, -1)

        said = _Said("tip", name, len(data), member)
        tip = self._judge(said, self._tips, now, check, read, is_old)
        if tip is not None and tip.stamp > self.wall + genesis.policy.max_clock_skew_ms:
            self._known.retire(name)
        elif tip is not None:
            self._stamps[tip.sender] = tip.stamp
        return tip

    def block(self, message: bytes, now: int) -> Block | None:
        """As `transaction`; a block goes by its header's hash, and one in the tree is not new."""
        data = _canonical("block", message, self._blocks)
        with _refusing("block"):
            header, body, signature = parse_envelope(data)
            name = header.hash
            if self._has_block(name) or self._known.is_replay(name, now):
                return None
            check_work(header, self._genesis)
            member = miner_of(header, self._genesis, self._members)

        def check() -> None:
            check_miner_signature(header, signature, member)
            check_body_hash(header, body)

        def read() -> Block:
            block = Block(header, parse_body(body), signature).remember(data)
            self.vouch(block)
            return block

        said = _Said("block", name, len(data), member)
        return self._judge(said, self._blocks, now, check, read, lambda _: False)

    def vouch(self, block: Block) -> None:
        """Spare the checks of those transactions in a block that have been let in before."""
        for transaction in block.body.transactions:
            if transaction.hash in self._known:
                self._signed(transaction, self._members[transaction.sender])

    def _judge(
        self,
        said: _Said,
        budgets: Budgets,
        now: int,
        check: Callable[[], None] | None,
        read: Callable[[], _T],
        is_old: Callable[[_T], bool],
    ) -> _T | None:
        """Let in what a member has signed: `check` says so of bytes, `read` makes the object."""
        budget, doubt = budgets.of(said.member.address), None
        with _refusing(said.what, said.member.address):
            budget.check_room(now)
            if check is not None:
                doubt = budget.doubt(now)
                check()
        try:
            found = read()
        except ChainError as error:  # the member has signed nonsense
            self._known.retire(said.name)
            budget.spend(said.size, doubt)
            raise NotAdmitted(said.what, said.member.address, str(error)) from error
        if is_old(found):
            self._known.retire(said.name)  # anybody may have sent it: the doubt is lost
            return None
        budget.spend(said.size, doubt)
        self._known.note(said.name, now)
        return found

    def _signed(self, found: _Envelope, member: Member) -> _Envelope:
        remember_signature(found, member.public_key, self._genesis.hash)
        return found

    def _is_old(self, transaction: Transaction) -> bool:
        """Whether the chain has the transaction, or has gone on without it."""
        state, payload = self.state, transaction.payload
        if not isinstance(payload, Learning):
            return transaction.sequence < state.next_sequence(transaction.sender)
        task = state.latest_task
        if task is not None and payload.model_id == task.model_id:
            return payload.iteration < task.current_iter
        return payload.model_id in state.finished


def _canonical(what: str, message: bytes, budgets: Budgets) -> bytes:
    try:
        return canonical_bytes(message, budgets.limits.largest)
    except CdrError as error:
        raise NotAdmitted(what, "", str(error)) from error


@contextmanager
def _refusing(what: str, sender: str = "") -> Iterator[None]:
    try:
        yield
    except (ChainError, OverBudget) as error:
        raise NotAdmitted(what, sender, str(error)) from error
