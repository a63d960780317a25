"""What must hold in every run, checked after every event, independently of the peers.

The checker keeps its own tree of the blocks that honest vehicles hold, and recomputes state and
PoFL of each once, from the files that were made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bift_ros.chain.keyring import Keyring
from bift_ros.chain.mempool import MAX_TRANSACTIONS
from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.model_check import check_model
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.effects import (
    BlockFinal,
    BroadcastTransaction,
    ConflictingCertificate,
    DoubleVoteFound,
    Effect,
    EquivocationFound,
    Fetch,
    Refused,
    TipChanged,
)
from bift_ros.simulation.file_invariants import FileInvariants
from bift_ros.simulation.history import History
from bift_ros.simulation.results import Violation
from bift_ros.simulation.scenario import CONFIRMATION_ITERATIONS
from bift_ros.simulation.vehicle import Environment, Vehicle
from bift_ros.simulation.world import TASK

_MAXIMUM_WANTED = 4096
_MAXIMUM_VIOLATIONS = 20
_MOST_READ = 128
"""Blocks that one event may have a vehicle read, to work out an old state or leave a branch."""


@dataclass(frozen=True)
class _Node:
    height: int
    parent: bytes
    models: int
    """Model blocks up to this one, itself included."""
    paid: int
    """Rewards up to this one."""
    state: State
    done: bool
    """Whether the run's task is."""
    transactions: tuple[bytes, ...]
    """The block's, by hash."""


class Invariants:
    """Watches the honest vehicles of a run."""

    def __init__(self, fleet: Environment, history: History) -> None:
        self._fleet, self._history = fleet, history
        self._by_address = {vehicle.address: vehicle for vehicle in fleet.vehicles}
        genesis = fleet.world.genesis
        self._genesis = genesis
        self._keyring = (
            Keyring(fleet.honest[0].key, genesis.hash) if genesis.policy.encrypt_models else None
        )
        """Every honest member's opens the same files."""
        self._nodes = {genesis.hash: _Node(0, b"", 0, 0, initial_state(genesis), False, ())}
        self._confirmed: dict[int, bytes] = {0: genesis.hash}
        self._top = dict.fromkeys(range(len(fleet.vehicles)), (0, genesis.hash))
        """Each vehicle's highest confirmed block."""
        self._owed: dict[str, tuple[int, bytes]] = {}
        """Honest owners' transactions, by the start of their hash: whose, and the hash."""
        self._settled: set[str] = set()
        self._new_blocks: list[tuple[Vehicle, Block]] = []
        self._new_final: list[tuple[Vehicle, int, bytes]] = []
        self._final: dict[int, bytes] = {0: genesis.hash}
        """What an honest vehicle has a certificate for, and all blocks below, by height."""
        self._last_final = dict.fromkeys(range(len(fleet.vehicles)), (0, genesis.hash))
        """Each vehicle's."""
        self._moved = False
        self._read = dict.fromkeys(range(len(fleet.vehicles)), 0)
        """How many blocks each vehicle had read from its store at its last event."""
        self._most_waiting = 2 * fleet.scenario.config.maximum_waiting_blocks
        self._files = FileInvariants(fleet, self.broken)
        self.violations: list[Violation] = []

    def stored(self, vehicle: Vehicle, block: Block) -> None:
        """A vehicle has accepted a block; it is checked after the event."""
        if vehicle.honest and block.hash not in self._nodes:
            self._new_blocks.append((vehicle, block))

    def effect(self, vehicle: Vehicle, effect: Effect) -> None:
        """Note what a peer does."""
        self._history.effect(self._fleet.queue.now, vehicle, effect)
        if not vehicle.honest:
            return
        match effect:
            case TipChanged():
                self._moved = True
            case BroadcastTransaction(transaction):
                if not isinstance(transaction.payload, Learning):
                    name = transaction.hash.hex()[:12]
                    self._owed.setdefault(name, (vehicle.number, transaction.hash))
            case Refused("transaction", _, reason):
                name = reason.split(":")[0].removeprefix("transaction ")
                if self._owed.get(name, (-1,))[0] == vehicle.number:
                    self._settled.add(name)
            case BlockFinal(height, block_hash):
                self._new_final.append((vehicle, height, block_hash))
            case DoubleVoteFound(vote, _):
                voter = self._by_address.get(vote.sender)
                if voter is not None and voter.honest:
                    self.broken("no framing", vehicle, f"honest {voter.number} voted doubly")
            case ConflictingCertificate(_, reason):
                self.broken("finality", vehicle, f"was shown a rival certificate: {reason}")
            case Fetch():
                self._files.fetch(vehicle, effect)
            case EquivocationFound(first, _):
                miner = self._by_address.get(first.header.miner)
                if miner is not None and miner.honest:
                    self.broken("no framing", vehicle, f"honest {miner.number} signed two blocks")
            case _:
                pass

    def after_event(self, vehicle: Vehicle) -> None:
        """Check what the event may have broken."""
        if self._new_blocks:
            for holder, block in self._new_blocks:
                self._check_block(holder, block)
            self._new_blocks.clear()
        if self._new_final:
            for holder, height, name in self._new_final:
                self._check_final(holder, height, name)
            self._new_final.clear()
            self._moved = True
        if not vehicle.honest:
            self._moved = False
            return
        if self._moved:
            self._moved = False
            self._check_tip(vehicle)
        read, self._read[vehicle.number] = self._read[vehicle.number], vehicle.store.read
        if vehicle.store.read - read > _MOST_READ:
            count = vehicle.store.read - read
            self.broken("bounded", vehicle, f"reads {count} blocks for one event")
        peer = vehicle.peer
        if peer.pending_transactions > MAX_TRANSACTIONS:
            self.broken("bounded", vehicle, f"{peer.pending_transactions} transactions pending")
        if peer.waiting_blocks > self._most_waiting:
            self.broken("bounded", vehicle, f"{peer.waiting_blocks} blocks wait")
        if peer.wanted_blocks > _MAXIMUM_WANTED or peer.wanted_files > _MAXIMUM_WANTED:
            self.broken(
                "bounded", vehicle, f"{peer.wanted_blocks} blocks, {peer.wanted_files} files wanted"
            )

    def raised(self, vehicle: Vehicle, error: Exception) -> None:
        """Whatever others say, an honest vehicle's peer raises nothing."""
        if vehicle.honest:
            self.broken("no crash", vehicle, f"its peer raised {error!r}")

    def models(self, vehicle: Vehicle) -> int:
        """How many iterations a vehicle's chain has."""
        return self._nodes[vehicle.store.tip].models

    def done(self, vehicle: Vehicle) -> bool:
        """Whether the run's task is done on a vehicle's chain."""
        return self._nodes[vehicle.store.tip].done

    def unsettled(self) -> list[bytes]:
        """Honest owners' transactions that neither honest chain nor a refusal accounts for."""
        chain: set[bytes] = set()
        best = max(self._fleet.honest, key=lambda vehicle: vehicle.peer.state.learning_weight)
        node = self._nodes[best.store.tip]
        while node.parent:
            chain.update(node.transactions)
            node = self._nodes[node.parent]
        return [
            name
            for short, (_, name) in self._owed.items()
            if short not in self._settled and name not in chain
        ]

    def finish(self, completed: bool) -> None:
        """The run is over: what should have happened by now?"""
        first = self._fleet.honest[0]
        if not completed:
            self.broken("liveness", first, self._describe())
        for name in self.unsettled():
            owner = self._owed[name.hex()[:12]][0]
            vehicle = self._fleet.vehicles[owner]
            self.broken("no loss", vehicle, f"transaction {name.hex()[:12]} is lost")

    def _describe(self) -> str:
        """Where the honest vehicles stand."""
        places: Counter[str] = Counter()
        for vehicle in self._fleet.honest:
            state = vehicle.peer.state
            done = state.latest_task.current_iter if state.latest_task is not None else 0
            places[f"block {state.height} {state.tip_hash.hex()[:6]} iteration {done}"] += 1
        return ", ".join(f"{count} vehicles at {place}" for place, count in places.items())

    def _check_block(self, vehicle: Vehicle, block: Block) -> None:
        if block.hash in self._nodes:
            return
        header, info = block.header, block.body.model_info
        below = self._nodes.get(header.previous_hash)
        if below is None:
            self.broken("validity", vehicle, f"block {header.height} stands on an invalid one")
            return
        try:
            state = state_transition(below.state, self._genesis, block, header.timestamp)
            if info is not None:
                self._check_model(below.state, block)
        except (ChainError, KeyError) as error:
            self.broken("validity", vehicle, f"block {header.height} was accepted: {error!r}")
            return
        paid = len(info.contributors) * self._genesis.policy.reward if info else 0
        node = _Node(
            header.height,
            header.previous_hash,
            below.models + header.model_flag,
            below.paid + paid,
            state,
            below.done or _ends_task(info),
            tuple(transaction.hash for transaction in block.body.transactions),
        )
        self._nodes[block.hash] = node
        if sum(state.balances.values()) != node.paid:
            self.broken("conservation", vehicle, f"block {header.height}: not what was paid")

    def _check_model(self, state: State, block: Block) -> None:
        """Recompute a model block on its parent's `state`."""
        archive, keyring = self._fleet.archive, self._keyring
        if keyring is None:
            check_model(state, self._genesis, block, archive.__getitem__)
            return
        keyring.learn(state)
        read = lambda cid: keyring.decrypt(archive[cid])  # noqa: E731
        check_model(state, self._genesis, block, read, keyring.encrypt)

    def _check_tip(self, vehicle: Vehicle) -> None:
        self._files.disk(vehicle)
        state = vehicle.peer.state
        node = self._nodes.get(state.tip_hash)
        if node is None:
            self.broken("validity", vehicle, f"stands on unchecked block {state.height}")
            return
        if state is not node.state and state.balances != node.state.balances:
            self.broken("conservation", vehicle, f"other balances at block {state.height}")
        if state is not node.state and state.shares != node.state.shares:
            self.broken("sharing", vehicle, f"lists other files at block {state.height}")
        self._check_agreement(vehicle, state.tip_hash, node)
        height, final = self._last_final[vehicle.number]
        if node.height < height or not self._below(state.tip_hash, final, height):
            self.broken("finality", vehicle, f"left the final block {height} {final.hex()[:12]}")

    def _check_final(self, vehicle: Vehicle, height: int, name: bytes) -> None:
        """No two final blocks of honest vehicles are rivals."""
        if height <= self._last_final[vehicle.number][0]:
            self.broken("finality", vehicle, f"takes block {height} for the last final one")
        self._last_final[vehicle.number] = (height, name)
        while self._final.get(height) != name:
            if height in self._final:
                other = self._final[height].hex()[:12]
                self.broken(
                    "finality", vehicle, f"has {name.hex()[:12]} final at {height}, others {other}"
                )
                return
            self._final[height] = name
            height, name = height - 1, self._nodes[name].parent

    def _check_agreement(self, vehicle: Vehicle, name: bytes, node: _Node) -> None:
        top_height, top = self._top[vehicle.number]
        models = node.models
        while node.height > top_height and models - node.models < CONFIRMATION_ITERATIONS:
            name, node = node.parent, self._nodes[node.parent]
        confirmed, confirmed_height = name, node.height
        newly: list[tuple[int, bytes]] = []
        while node.height > top_height:
            newly.append((node.height, name))
            name, node = node.parent, self._nodes[node.parent]
        if name != top and node.height == top_height:
            self.broken("agreement", vehicle, f"left the confirmed block {top_height}")
        elif node.height < top_height and not self._below(top, name, node.height):
            self.broken("agreement", vehicle, f"left a block below the confirmed {top_height}")
        for height, block in newly:
            if self._confirmed.setdefault(height, block) != block:
                other = self._confirmed[height].hex()[:12]
                self.broken(
                    "agreement", vehicle, f"confirms {block.hex()[:12]} at {height}, others {other}"
                )
        if confirmed_height > top_height:
            self._top[vehicle.number] = (confirmed_height, confirmed)

    def _below(self, top: bytes, name: bytes, height: int) -> bool:
        while self._nodes[top].height > height:
            top = self._nodes[top].parent
        return top == name

    def broken(self, invariant: str, vehicle: Vehicle, detail: str) -> None:
        """Note that an invariant is."""
        now = self._fleet.queue.now
        if len(self.violations) < _MAXIMUM_VIOLATIONS:
            self.violations.append(
                Violation(invariant, now - self._fleet.started, vehicle.number, detail)
            )
        self._history.fault(now, f"vehicle {vehicle.number} BREAKS {invariant}: {detail}")


def _ends_task(info: ModelInfo | None) -> bool:
    return info is not None and info.model_id == TASK and info.current_iter == info.total_iter
