"""What each member may send, and how many forgeries in its name are checked.

A signature tells who wrote a message, but to check one is what a stranger can make us do. So a
member has two budgets. One is for what it has *proved* to have signed: nobody else can spend it.
The other is for *doubts*. Every check takes a doubt, and gives it back where the signature holds.
So a member in whose name nobody forges never runs out of doubts, whatever strangers do in the
names of others. In whose name somebody forges, its own doubts are soon spent. From then on it has
those of the *reserve*, which all members share: so many of the messages that name it are checked
in a second, drawn by when they come, and among them now and then an honest one. What it repeats
(its transactions every few seconds, its tip anew) so gets through, and what it says reaches the
fleet through others' blocks too. A flood of forgeries costs the reserve's checks in a second and a
few more for each member, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bift_ros.admission.exceptions import OverBudget
from bift_ros.limits.token_bucket import Bucket, Rate


@dataclass(frozen=True)
class Limits:
    """Of one kind of message, for each member."""

    largest: int
    """Canonical bytes of one."""
    messages: Rate
    bytes: Rate
    doubts: Rate


# A member within the rules sends a commit and an update in an iteration, each again every few
# seconds while it waits, and at most 32 others that wait for a block. Whoever comes late is sent
# the last 64 of each member at once.
TRANSACTION_RATES = (Rate(256, 16), Rate(512_000, 64_000), Rate(128, 0.25))
# It mines two blocks in an iteration, or one a second without learning; the last 16 are sent again.
BLOCK_RATES = (Rate(64, 2), Rate(6_400_000, 200_000), Rate(32, 0.25))
# It says where it stands every few seconds, soon after its tip has changed, and with each vote.
TIP_RATES = (Rate(64, 4), Rate(64_000, 4_000), Rate(64, 0.25))
RESERVE = Rate(1000, 300)
"""Doubts that all members and kinds share; 300 signatures take about a thirtieth of a second."""


@dataclass
class Budget:
    """Of one member, for one kind of message. Every `now` is in milliseconds."""

    limits: Limits
    reserve: Bucket
    messages: Bucket = field(init=False)
    bytes: Bucket = field(init=False)
    doubts: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.messages = Bucket(self.limits.messages)
        self.bytes = Bucket(self.limits.bytes)
        self.doubts = Bucket(self.limits.doubts)

    def check_room(self, now: int) -> None:
        """Refuse more than the member may send; raises OverBudget."""
        if not self.messages.holds(1, now / 1000):
            raise OverBudget("it sends more messages than a member does")
        if not self.bytes.holds(1, now / 1000):
            raise OverBudget("it sends more bytes than a member does")

    def doubt(self, now: int) -> Bucket:
        """Take what one signature check costs; give whence, so that it can be given back.

        Raises OverBudget.
        """
        for bucket in (self.doubts, self.reserve):
            if bucket.holds(1, now / 1000):
                bucket.take(1)
                return bucket
        raise OverBudget("too many forgeries name it")

    def spend(self, size: int, doubt: Bucket | None) -> None:
        """Charge a message that the member has proved to have signed, and give a doubt back."""
        if doubt is not None:
            doubt.give_back()
        self.messages.take(1)
        self.bytes.take(size)


class Budgets:
    """Of all members, for one kind of message."""

    def __init__(self, limits: Limits, reserve: Bucket) -> None:
        self.limits, self._reserve = limits, reserve
        self._of: dict[str, Budget] = {}

    def of(self, member: str) -> Budget:
        """The budget of a member, by its address: as many as there are members."""
        budget = self._of.get(member)
        if budget is None:
            budget = self._of[member] = Budget(self.limits, self._reserve)
        return budget
