"""What is known of a fleet from its topics: a picture that every message makes newer.

Nothing here is authenticated: an observer has no genesis and so cannot check a signature. It is
for display; consensus never reads it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bift_ros.history.blocks import BlockSummary
from bift_ros.history.chain import ChainHistory
from bift_ros.history.tree import BlockTree
from bift_ros.monitoring.status import VehicleStatus

MAX_VEHICLES = 1000
"""An observer takes in no more names: anybody may publish."""
MAX_FLIGHTS = 500
MAX_LOSSES = 10_000
"""Iterations whose training losses are remembered."""


@dataclass(frozen=True)
class ObservedTip:
    """Where a vehicle says that its chain ends, and what it is called."""

    name: str
    address: str
    height: int
    hash: str


@dataclass(frozen=True)
class Flight:
    """A message on its way from one vehicle to all others."""

    kind: str
    """`block`, or the kind of a transaction, such as `model_commit`."""
    sender: str
    """Address."""
    at: float
    """When it was heard, in seconds of the listener's monotonic clock."""


@dataclass(frozen=True)
class ObservedVehicle:
    """One vehicle, as it says itself."""

    name: str
    address: str = ""
    status: VehicleStatus | None = None
    """Its newest status; None until it has spoken."""
    tip: ObservedTip | None = None
    heard_at: float = 0.0
    """When its newest status came, in seconds of the listener's monotonic clock."""
    revision: int = 0
    """The view's revision at the last change of this vehicle."""

    @property
    def tip_hash(self) -> str:
        """Where it stands, by whichever it said last; empty if it has said nothing."""
        spoken, said = self.status, self.tip
        if spoken is not None and (said is None or spoken.chain.height >= said.height):
            return spoken.chain.tip
        return said.hash if said is not None else ""

    @property
    def tip_height(self) -> int:
        """The height that it claims for `tip_hash`; 0 if it has said nothing."""
        spoken = self.status.chain.height if self.status is not None else 0
        return max(spoken, self.tip.height if self.tip is not None else 0)

    def is_silent(self, now: float, seconds: float) -> bool:
        """Whether it has not spoken yet, or for longer than that."""
        return self.status is None or now - self.heard_at > seconds


class FleetView:
    """Takes in observations and answers questions. No clock inside: `now` comes in, in seconds.

    `revision` grows with every change, so that a reader can ask for what is new since its own.
    """

    def __init__(self) -> None:
        self.chain = BlockTree()
        self.vehicles: dict[str, ObservedVehicle] = {}
        self.flights: deque[Flight] = deque(maxlen=MAX_FLIGHTS)
        self.revision = 0
        self._names: dict[str, str] = {}
        self._losses: dict[tuple[str, int], dict[str, float]] = {}
        self._history: tuple[tuple[int, str], ChainHistory] | None = None

    def observe_tip(self, tip: ObservedTip) -> bool:
        """A vehicle has moved on; returns whether the vehicle is a new one."""
        known = tip.name in self.vehicles
        return self._observe(tip.name, tip.address, tip=tip) and not known

    def observe_status(self, status: VehicleStatus, now: float) -> None:
        """A vehicle has said how it is."""
        self._observe(status.name, status.address, status=status, heard_at=now)

    def observe_block(self, block: BlockSummary, now: float) -> bool:
        """A block has just been mined and come; False where it was known."""
        if not self.add_block(block):
            return False
        self.flights.append(Flight("block", block.miner, now))
        return True

    def add_block(self, block: BlockSummary) -> bool:
        """A block that was mined earlier has been told; False where it was known."""
        if not self.chain.add(block):
            return False
        self.revision += 1
        return True

    def observe_transaction(self, kind: str, sender: str, now: float) -> None:
        """A transaction has come."""
        self.flights.append(Flight(kind, sender, now))

    def observe_loss(self, name: str, model_id: str, iteration: int, loss: float) -> None:
        """A vehicle has finished an epoch of its local training."""
        self._losses.setdefault((model_id, iteration), {})[name] = loss
        if len(self._losses) > MAX_LOSSES:
            del self._losses[next(iter(self._losses))]
        self.revision += 1

    def name_of(self, address: str) -> str:
        """What an address is called; the address's beginning where nobody has said."""
        return self._names.get(address, address[:12])

    @property
    def head(self) -> str:
        """Hash of the tip that most vehicles stand on; of equals the one that is known higher."""
        stands = Counter(vehicle.tip_hash for vehicle in self.vehicles.values())
        del stands[""]
        if not stands:
            return ""
        return max(stands, key=lambda tip: (stands[tip], self._height(tip), tip))

    @property
    def history(self) -> ChainHistory:
        """The chain that ends in the head; the same object until a block or the head is another."""
        key = (self.chain.added, self.head)
        if self._history is None or self._history[0] != key:
            self._history = (key, ChainHistory(self.chain, self.head))
        return self._history[1]

    def mean_losses(self, model_id: str) -> Mapping[int, float]:
        """The vehicles' mean training loss after their last epochs, by iteration of a task."""
        return {
            iteration: sum(losses.values()) / len(losses)
            for (task, iteration), losses in sorted(self._losses.items())
            if task == model_id
        }

    def newest_loss(self, model_id: str) -> float | None:
        """The vehicles' mean training loss in a task's newest iteration; None before the first."""
        iterations = [iteration for task, iteration in self._losses if task == model_id]
        if not iterations:
            return None
        losses = self._losses[(model_id, max(iterations))].values()
        return sum(losses) / len(losses)

    def changed_since(self, since: int) -> Iterable[ObservedVehicle]:
        """The vehicles that changed after a revision."""
        return [vehicle for vehicle in self.vehicles.values() if vehicle.revision > since]

    def _height(self, tip: str) -> int:
        block = self.chain.blocks.get(tip)
        return block.height if block is not None else -1

    def _observe(self, name: str, address: str, **changes: Any) -> bool:
        """Note what a vehicle said; False where there are too many others already."""
        vehicle = self.vehicles.get(name, ObservedVehicle(name))
        if name not in self.vehicles and len(self.vehicles) >= MAX_VEHICLES:
            return False
        if vehicle.address != address:
            self._names.pop(vehicle.address, None)
            self._names[address] = name
        self.revision += 1
        self.vehicles[name] = replace(vehicle, address=address, revision=self.revision, **changes)
        return True
