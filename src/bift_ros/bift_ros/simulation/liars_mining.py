"""A member with a thousand times the others' hash power."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.events import BlockReceived
from bift_ros.simulation.conduct import Conduct
from bift_ros.simulation.forging import forge

if TYPE_CHECKING:
    from bift_ros.consensus.state import State
    from bift_ros.simulation.vehicle import Vehicle

_REWRITE_SECONDS = 7
_REWRITE_DEPTH = (1, 6)
_TRIES = 200


class FastMiner(Conduct):
    """Floods the chain with plain blocks of one-unit transfers, and tries to rewrite history."""

    hash_power = 1000.0

    def __init__(self, vehicle: Vehicle) -> None:
        super().__init__(vehicle)
        self._seconds = 0

    def act(self) -> None:
        """A plain block on the tip; now and then rivals of earlier blocks."""
        self._seconds += 1
        self._plain(self.vehicle.peer.state)
        if self._seconds % _REWRITE_SECONDS == 0:
            self._rewrite()

    def _plain(self, state: State) -> Block | None:
        vehicle = self.vehicle
        genesis = vehicle.fleet.world.genesis
        if state.height == 0 or not state.balances[vehicle.address]:
            return None
        sequence = state.sequences[vehicle.address]
        payload = Transfer(vehicle.rng.choice(vehicle.fleet.vehicles).address, 1)
        transaction = sign_transaction(vehicle.key, sequence, payload, genesis.hash)
        body = Body((transaction,))
        earliest = state.timestamp + genesis.policy.plain_interval_ms
        header = Header(
            height=state.height + 1,
            timestamp=max(earliest, vehicle.now),
            previous_hash=state.tip_hash,
            body_hash=body.hash,
            model_flag=0,
            miner=vehicle.address,
            difficulty=genesis.policy.difficulty,
            nonce=MIN_NONCE,
        )
        block = forge(vehicle.key, vehicle.rng, header, body)
        self._spread(block)
        return block

    def _spread(self, block: Block) -> None:
        event = BlockReceived(block, self.vehicle.url)
        self.vehicle.take(event)
        self.vehicle.tell(event)

    def _rewrite(self) -> None:
        """Find a lower hash for what the chain holds, and go on with plain blocks on top."""
        vehicle = self.vehicle
        genesis = vehicle.fleet.world.genesis
        depth = vehicle.rng.randint(*_REWRITE_DEPTH)
        chain = vehicle.chain.canonical(max(1, vehicle.peer.state.height - depth), 1)
        if not chain:
            return
        (old,) = chain
        rival = old
        for later in range(_TRIES):
            stamp = old.header.timestamp + later
            rival = forge(
                vehicle.key,
                vehicle.rng,
                old.header,
                old.body,
                miner=vehicle.address,
                timestamp=stamp,
            )
            if rival.hash < old.hash:
                break
        parent = vehicle.chain.state_at(old.header.previous_hash)
        try:
            state = state_transition(parent, genesis, rival, vehicle.now)
        except InvalidBlock:
            return
        vehicle.tell(BlockReceived(rival, vehicle.url))
        for _ in range(2):
            block = self._plain(state)
            if block is None:
                return
            try:
                state = state_transition(state, genesis, block, block.header.timestamp)
            except InvalidBlock:
                return
