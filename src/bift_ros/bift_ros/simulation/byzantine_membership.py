"""Members whom the others vote out, and who go on with their old keys."""

from __future__ import annotations

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.payloads import Transfer, WithdrawFile
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.events import BlockReceived, TipReceived, TransactionReceived
from bift_ros.simulation.byzantine_traffic import FalseMessages

_BLOCKS = 8


class OldKeys(FalseMessages):
    """Keeps to the protocol as a member; later mines where it still was one, signs and votes."""

    def misbehave(self) -> None:
        """Have a branch of its own grow from the last block at which it was a member."""
        if self.address in self.peer.state.members:
            return
        tip, genesis = self.peer.state, self.genesis
        word = self.sign(tip.next_sequence(self.address), WithdrawFile("x"))
        self.tell(TransactionReceived(word))
        false = sign_tip(
            self.key,
            genesis.hash,
            height=tip.height + 9,
            tip_hash=tip.tip_hash,
            learning_weight=10**6,
            provider=self.url,
            stamp=self.now,
        )
        self.tell(TipReceived(false))
        state = self.chain.state_at(self._last_with_it())
        for _ in range(_BLOCKS):
            gift = Transfer(self.fleet.honest[0].address, 1)
            if not state.balances[self.address]:
                return
            gift_signed = self.sign(state.next_sequence(self.address), gift)
            later = genesis.policy.plain_interval_ms
            block = self.fleet.world.block(state, [gift_signed], miner=self.number, later=later)
            try:
                state = state_transition(state, genesis, block, self.now)
            except InvalidBlock:
                return
            self.tell(BlockReceived(block))

    def _last_with_it(self) -> bytes:
        """The hash of the newest block of its chain after which it was a member."""
        for header in reversed(self.chain.canonical_headers(1, 10**9)):
            if self.chain.node(header.header.hash) is None:
                break
            if self.address in self.chain.state_at(header.header.hash).members:
                return header.header.hash
        return self.chain.root.hash
