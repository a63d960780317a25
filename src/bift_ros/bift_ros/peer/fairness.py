"""What a peer holds against a block that breaks no rule: its own view of what came when.

Three objections, each about a block with an iteration's commits or updates:

- it **leaves out** more than the policy's share of what this vehicle had in good time, so that no
  miner can choose a convenient subset;
- it holds commits that this vehicle first heard of once the iteration's commits **were closed**,
  when updates may have been known;
- it is a **rival that comes late**: another block has ended that phase a good while ago. Without
  this, a fast machine could go on searching for a lower hash while the fleet trains.

An objection is one vehicle's, and vehicles see different things. So the block is kept aside, and
`BlockImport` follows it all the same where most members do.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
    RoundKey,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import MAX_TRANSACTION_BYTES, Transaction
from bift_ros.peer.context import Context

_MAXIMUM_ROUNDS = 8
_MAXIMUM_KNOWN = 8192


@dataclass
class _Round:
    """A round's commits, or its updates."""

    known: dict[bytes, tuple[str, int]] = field(default_factory=dict)
    """Transaction hash → sender, and since when a miner could have used it."""
    ended: dict[int | None, tuple[bytes, int]] = field(default_factory=dict)
    """When the newest commits were made → the first block accepted that ended it, and when."""


class Fairness:
    """Remembers the latest rounds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rounds: OrderedDict[RoundKey, _Round] = OrderedDict()

    def usable(self, transaction: Transaction) -> None:
        """Note that from now on a miner could use this commit or update."""
        payload = transaction.payload
        assert isinstance(payload, Learning)
        round_ = self._round(payload.round)
        if len(round_.known) < _MAXIMUM_KNOWN:
            round_.known.setdefault(transaction.hash, (transaction.sender, self._context.now))

    def accepted(self, block: Block, parent: State) -> None:
        """Note a block that this vehicle has taken into its tree."""
        kind = block.learning
        if kind is not None and parent.task is not None:
            round_ = self._round(parent.task.round(kind))
            round_.ended.setdefault(parent.task.committed_at, (block.hash, self._context.now))

    def objection(self, block: Block, parent: State, received_at: int) -> str | None:
        """What this vehicle holds against a block, or None."""
        kind = block.learning
        if kind is None or parent.task is None:
            return None
        round_ = self._rounds.get(parent.task.round(kind))
        if round_ is None:
            return None
        return (
            self._rival(round_, block, parent, received_at)
            or self._late_commits(round_, kind, block, parent)
            or self._omission(round_, kind, block, parent, received_at)
        )

    def _rival(self, round_: _Round, block: Block, parent: State, received_at: int) -> str | None:
        assert parent.task is not None
        ended = round_.ended.get(parent.task.committed_at)
        if ended is None or ended[0] == block.hash:
            return None
        late = received_at - ended[1]
        if late <= self._context.config.omission_grace_ms:
            return None
        return f"it comes {late} ms after another block for the same"

    def _late_commits(
        self, round_: _Round, kind: type[Learning], block: Block, parent: State
    ) -> str | None:
        assert parent.task is not None
        ended = round_.ended.get(None)
        if kind is not ModelCommit or parent.task.committed_at is not None or ended is None:
            return None
        latest = ended[1] + self._context.config.reveal_delay_ms // 2
        now = self._context.now
        late = sum(
            round_.known.get(t.hash, ("", now))[1] > latest
            for t in block.body.transactions
            if isinstance(t.payload, ModelCommit)
        )
        return f"{late} of its commits came after the commits were closed" if late else None

    def _omission(
        self, round_: _Round, kind: type[Learning], block: Block, parent: State, received_at: int
    ) -> str | None:
        assert parent.task is not None
        if len(block.to_bytes()) > MAX_BLOCK_BYTES - MAX_TRANSACTION_BYTES:
            return None  # no room for more
        policy = self._context.genesis.policy
        revealing = kind is ModelUpdate and policy.commit_reveal
        committed = parent.task.commitments
        latest = received_at - self._context.config.omission_grace_ms
        in_time = {
            name
            for name, (sender, since) in round_.known.items()
            # Updates count of those who committed, further commits of those who did not.
            if since <= latest and (sender in committed) == revealing
        }
        omitted = in_time - {t.hash for t in block.body.transactions}
        share = len(omitted) / len(in_time) if in_time else 0.0
        if share <= policy.max_omitted_fraction:
            return None
        word = "updates" if kind is ModelUpdate else "commits"
        return f"it leaves out {len(omitted)} of {len(in_time)} {word} had in time"

    def _round(self, key: RoundKey) -> _Round:
        round_ = self._rounds.get(key)
        if round_ is None:
            round_ = self._rounds[key] = _Round()
            if len(self._rounds) > _MAXIMUM_ROUNDS:
                self._rounds.popitem(last=False)
        return round_
