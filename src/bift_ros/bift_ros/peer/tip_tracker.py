"""Who stands where, as the members themselves say, signed: one tip each, the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bift_ros.chain.tips import SignedTip, check_tip, sign_tip
from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import AnnounceTip
from bift_ros.peer.voting import Voting

_FLEET = 30
"""Members up to which the tips are announced as often as configured."""
_CHANGED = 5
"""A new tip is announced this many times sooner than the same one again."""


class TipTracker:
    """Takes in the other members' tips and announces this vehicle's own."""

    def __init__(self, context: Context, voting: Voting) -> None:
        self._context, self._voting = context, voting
        self._tips: dict[str, SignedTip] = {}
        self.counts: Counter[bytes] = Counter()
        """Block hash → how many other members say that they stand there."""
        self._announced = b""
        self._announced_at = 0
        self._said_at = 0
        """The newest of this vehicle's own stamps."""

    @property
    def known(self) -> int:
        """How many other members have said where they stand."""
        return len(self._tips)

    def others(self) -> Iterator[SignedTip]:
        """Every other member's newest tip."""
        return iter(self._tips.values())

    def received(self, tip: SignedTip) -> bool:
        """Note a tip, unless it says nothing new or its member did not sign it.

        Returns whether its member's gateway was not known before.
        """
        context = self._context
        known = self._tips.get(tip.sender)
        if tip.sender == context.key.address or (known is not None and known.stamp >= tip.stamp):
            return False
        try:
            check_tip(tip, context.genesis, context.members)
        except InvalidTransaction as error:
            context.refuse("tip", tip.sender + tip.signature.hex(), tip.sender, str(error))
            return False
        ahead = tip.stamp - context.latest
        if ahead > context.genesis.policy.max_clock_skew_ms:  # else no later tip would count
            context.refuse("tip", tip.sender, tip.sender, f"it is stamped {ahead} ms ahead")
            return False
        self._tips[tip.sender] = tip
        self._count(known, tip)
        self._voting.heard(tip)
        if not tip.provider:
            return False
        is_new = tip.sender not in context.providers
        context.providers[tip.sender] = tip.provider
        return is_new

    def _count(self, before: SignedTip | None, tip: SignedTip) -> None:
        counts = self.counts
        if before is not None:
            if before.hash == tip.hash:
                return
            counts[before.hash] -= 1
            if not counts[before.hash]:
                del counts[before.hash]
        counts[tip.hash] += 1

    def announce(self) -> None:
        """Say where this vehicle stands, if it is time to: at once where it has cast a vote.

        A larger fleet says it more seldom: what each vehicle hears in a second stays the same.
        """
        context = self._context
        members = len(context.members)
        interval = context.config.announce_ms * max(1, members // _FLEET)
        if context.chain.tip.hash != self._announced:
            interval //= _CHANGED
        due = self._announced_at == 0 or context.now - self._announced_at >= interval
        if due or self._voting.untold:
            self.announce_now()

    def _stamp(self) -> int:
        """Later than the last one, which others may hold: the clock may have been set back."""
        stamp = self._context.stamp
        if self._said_at - stamp <= self._context.genesis.policy.max_clock_skew_ms:
            stamp = max(stamp, self._said_at + 1)
        self._said_at = stamp
        return stamp

    def announce_now(self) -> None:
        """Announce the tip now."""
        context = self._context
        if context.key.address not in context.members:
            return
        tip = context.chain.tip
        self._announced, self._announced_at = tip.hash, context.now
        self._voting.untold = False
        context.emit(
            AnnounceTip(
                sign_tip(
                    context.key,
                    context.genesis.hash,
                    height=tip.height,
                    tip_hash=tip.hash,
                    learning_weight=tip.learning_weight,
                    provider=context.provider,
                    stamp=self._stamp(),
                    final_height=context.chain.finality.final.height,
                    votes=self._voting.votes,
                )
            )
        )
