"""A member with a thousand times the others' hash power."""

from __future__ import annotations

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.state import State
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.events import BlockReceived
from bift_ros.simulation.byzantine_vehicle import Byzantine

_REWRITE_SECONDS = 7
_REWRITE_DEPTH = (1, 6)
_TRIES = 200


class FastMiner(Byzantine):
    """Floods the chain with plain blocks of one-unit transfers, and tries to rewrite history."""

    hash_power = 1000.0

    _seconds = 0

    def act(self) -> None:
        """A plain block on the tip; now and then rivals of earlier blocks."""
        self._seconds += 1
        self._plain(self.peer.state)
        if self._seconds % _REWRITE_SECONDS == 0:
            self._rewrite()

    def _plain(self, state: State) -> Block | None:
        if state.height == 0 or not state.balances[self.address]:
            return None
        payload = Transfer(self.rng.choice(self.fleet.vehicles).address, 1)
        transfer = self.sign(state.next_sequence(self.address), payload)
        later = max(self.genesis.policy.plain_interval_ms, self.now - state.timestamp)
        block = self.fleet.world.block(state, [transfer], miner=self.number, later=later)
        event = BlockReceived(block)
        self.take(event)
        self.tell(event)
        return block

    def _rewrite(self) -> None:
        """Find a lower hash for what the chain holds, and go on with plain blocks on top."""
        depth = self.rng.randint(*_REWRITE_DEPTH)
        chain = self.chain.canonical(max(1, self.peer.state.height - depth), 1)
        if not chain:
            return
        (old,) = chain
        rival = old
        for later in range(_TRIES):
            stamp = old.header.timestamp + later
            rival = self.forge(old.header, old.body, miner=self.address, timestamp=stamp)
            if rival.hash < old.hash:
                break
        if self.chain.node(old.header.previous_hash) is None:
            return  # the chain begins above it
        parent = self.chain.state_at(old.header.previous_hash)
        try:
            state = state_transition(parent, self.genesis, rival, self.now)
        except InvalidBlock:
            return
        self.tell(BlockReceived(rival))
        for _ in range(2):
            block = self._plain(state)
            if block is None:
                return
            try:
                state = state_transition(state, self.genesis, block, block.header.timestamp)
            except InvalidBlock:
                return
