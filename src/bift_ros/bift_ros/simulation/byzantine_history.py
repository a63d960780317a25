"""Members who would have the fleet leave what it has agreed on, or go through its history again."""

from __future__ import annotations

from collections.abc import Sequence

from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.exceptions import CannotAggregate, InvalidBlock
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import ModelCommit, ModelUpdate, WithdrawFile, commitment_of
from bift_ros.consensus.state import State, Task
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.events import BlockReceived
from bift_ros.simulation.byzantine_vehicle import Byzantine
from bift_ros.simulation.vehicle import Vehicle
from bift_ros.simulation.world import train

_BEGIN_MS = 25_000
_MOST_BLOCKS = 400
_FORGOTTEN = 7
"""After so many iterations nobody remembers what came first in the earliest."""
_A_TICK = 2
_RECENT = 70
"""Blocks whose states everybody has at hand."""


class PrivateBranch(Byzantine):
    """Learns in private with all of its kind, from the task's beginning on, and shows it late."""

    _done = False

    def act(self) -> None:
        """Show a branch that outweighs the chain, where the least that make a model are its own."""
        task = self.peer.state.task
        early = self.now - self.fleet.started < _BEGIN_MS
        if self._done or early or task is None or task.current_iter < _FORGOTTEN:
            return
        kind = [v for v in self.fleet.vehicles if isinstance(v, PrivateBranch)]
        if self is not kind[0]:
            return
        self._done = True
        for block in self._branch(kind):
            self.tell(BlockReceived(block))

    def _branch(self, kind: Sequence[Vehicle]) -> list[Block]:
        blocks: list[Block] = []
        state = self._begun()
        while len(blocks) < _MOST_BLOCKS and state.task is not None:
            commits, updates = _round(kind, state, state.task)
            try:
                state = self._grow(blocks, state, commits, None)
                archive = self.fleet.archive
                made = compute_model(
                    state, self.genesis, updates, archive.__getitem__, lambda _, data: data
                )
                self.keep(made.file)
                state = self._grow(blocks, state, updates, made.info)
            except (InvalidBlock, CannotAggregate):
                break
        return blocks

    def _begun(self) -> State:
        """After the block that brought the task."""
        for block in self.chain.canonical(1, 10**9):
            if self.chain.node(block.hash) is None:
                continue  # below where its own chain begins since it has started again
            state = self.chain.state_at(block.hash)
            if state.task is not None:
                return state
        return self.peer.state

    def _grow(
        self,
        blocks: list[Block],
        state: State,
        transactions: tuple[Transaction, ...],
        info: ModelInfo | None,
    ) -> State:
        world = self.fleet.world
        block = world.block(state, transactions, info, miner=self.number, later=1)
        state = state_transition(state, self.genesis, block, self.now)
        blocks.append(block)
        return state


def _round(
    kind: Sequence[Vehicle], state: State, task: Task
) -> tuple[tuple[Transaction, ...], tuple[Transaction, ...]]:
    """Everybody's commit and update for the iteration that is going on."""
    commits, updates = [], []
    for vehicle in kind:
        fleet, number = vehicle.fleet, task.current_iter + 1
        base = fleet.archive[task.global_cid]
        cid = vehicle.keep(train(base, vehicle.number, number, fleet.seed, 1))
        salt = b"private"
        update = ModelUpdate(task.model_id, number, task.global_cid, cid, 0.5, 100, salt)
        seal = commitment_of(cid, salt, vehicle.address)
        commit = ModelCommit(*update.round, task.base_block, seal)
        genesis = vehicle.genesis.hash
        commits.append(sign_transaction(vehicle.key, number, commit, genesis))
        updates.append(sign_transaction(vehicle.key, number, update, genesis))
    return tuple(commits), tuple(updates)


class SideMiner(Byzantine):
    """Mines on old blocks, each of which has the others work out an old state."""

    def act(self) -> None:
        """A few blocks that say next to nothing, far below the tip."""
        old = max(1, self.peer.state.height - _RECENT)
        for block in self.chain.canonical(self.rng.randint(1, old), _A_TICK):
            if self.chain.node(block.header.previous_hash) is None:
                continue
            state = self.chain.state_at(block.header.previous_hash)
            if self.address in state.members:
                word = self.sign(state.next_sequence(self.address), WithdrawFile("x"))
                later = self.genesis.policy.plain_interval_ms + self.rng.randrange(1000)
                side = self.fleet.world.block(state, [word], miner=self.number, later=later)
                self.tell(BlockReceived(side))
