"""Keys for the fleet's model files: when this vehicle gives one, and asks for the older ones."""

from __future__ import annotations

from bift_ros.admission.answers import KEYS_PER_ANSWER
from bift_ros.chain.keyring import Keyring
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.key_epochs import has_given
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction, check_signature
from bift_ros.peer.context import Context
from bift_ros.peer.effects import RequestKeys
from bift_ros.peer.events import KeysAnswered
from bift_ros.peer.own_transactions import OwnTransactions
from bift_ros.peer.tip_tracker import TipTracker

_MAXIMUM_HINTS = 256
_ALL = 2**32 - 1


def keys_before(state: State, before: int) -> tuple[tuple[Transaction, ...], int]:
    """Answer a `RequestKeys`: what gave the keys, the newest first, and how many older are left."""
    keys = [entry.transaction for entry in state.keys[:before]]
    given = keys[-KEYS_PER_ANSWER:]
    return tuple(reversed(given)), len(keys) - len(given)


class GroupKeys:
    """Gives a key where the members have none, or one that is not the same for all of them.

    The members take turns, in an order that every epoch draws anew: the first usually does it,
    and the others only where it does not.
    """

    def __init__(self, context: Context, own: OwnTransactions, tips: TipTracker) -> None:
        self._context, self._own, self._tips = context, own, tips
        self._want: tuple[bytes, int] | None = None
        """The epoch, and how many keys the chain has, where another key is wanted."""
        self._since = 0
        """When that was first seen."""
        self._given = b""
        """The hash of this vehicle's transaction with a key."""
        self._hinted: dict[str, set[bytes]] = {}
        """Address → hashes of transactions whose keys were taken from answers."""
        self._asked_at = 0
        self._asked = 0
        """How often others were asked for keys."""

    def advance(self) -> None:
        """Ask for a key that a file needs; give one once it is this vehicle's turn."""
        context, keyring = self._context, self._context.keyring
        if keyring is None:
            return
        if context.locked_out:
            self._ask()
        state = context.chain.tip_state
        want = (state.epoch, len(state.keys)) if self._wants(keyring, state) else None
        if want != self._want:
            self._want, self._since = want, context.now
        if want is None or self._given in context.mempool:
            return
        if context.now - self._since >= self._turn(state) * context.config.key_turn_ms:
            self._give(keyring, state)

    def answered(self, event: KeysAnswered) -> None:
        """Try the keys that a vehicle has given, and ask it for those before."""
        context, keyring = self._context, self._context.keyring
        if keyring is None:
            return
        keys = []
        for transaction in event.transactions[:KEYS_PER_ANSWER]:
            try:
                check_signature(transaction, context.genesis, context.chain.known_members)
            except InvalidTransaction as error:
                context.refuse("key", transaction.hash.hex(), event.peer, str(error))
                return
            key = transaction.payload
            if isinstance(key, GroupKey) and self._may_hint(transaction):
                keys.append(key)
        if keyring.hint(keys) and event.left > 0:
            context.emit(RequestKeys(event.peer, event.left))

    def _may_hint(self, transaction: Transaction) -> bool:
        """Whether a member's key is taken before the chain has it: some of each, however many."""
        hinted = self._hinted.setdefault(transaction.sender, set())
        if len(hinted) < _MAXIMUM_HINTS:
            hinted.add(transaction.hash)
        return transaction.hash in hinted

    def _wants(self, keyring: Keyring, state: State) -> bool:
        own = self._context.key.address
        return own in state.members and keyring.is_wanting(state) and not has_given(state, own)

    def _give(self, keyring: Keyring, state: State) -> None:
        context = self._context
        try:
            self._given = self._own.submit(keyring.own_key(state)).hash
        except InvalidTransaction as error:  # such as a full pool
            reason = f"own key for the model files: {error}"
            context.refuse("key", state.epoch.hex(), context.key.address, reason)

    def _turn(self, state: State) -> int:
        """How many members come before this one."""
        own = sha256(state.epoch + bytes.fromhex(self._context.key.address))
        return sum(sha256(state.epoch + bytes.fromhex(other)) < own for other in state.members)

    def _ask(self) -> None:
        """Ask one vehicle after the other for keys that the chain here does not have (yet)."""
        context = self._context
        if context.now - self._asked_at < context.config.key_turn_ms:
            return
        others = [tip.sender for tip in self._tips.others()]
        if others:
            context.locked_out = False
            context.emit(RequestKeys(others[self._asked % len(others)], _ALL))
            self._asked, self._asked_at = self._asked + 1, context.now
