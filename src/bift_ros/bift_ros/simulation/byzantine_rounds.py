"""Vehicles that cheat within a round: about commitments, updates and their files."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bift_ros.consensus.payloads import ModelCommit, ModelUpdate
from bift_ros.peer.effects import BroadcastTransaction, Effect, TrainingRequest
from bift_ros.peer.events import Event, TransactionReceived
from bift_ros.simulation.byzantine_vehicle import Byzantine
from bift_ros.simulation.vehicle import Environment, Vehicle

_LATE_MS = (2_000, 12_000)


class Withholder(Byzantine):
    """Announces updates whose files it gives to few, or to nobody."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._share = self.rng.choice((0.0, 0.2, 0.5))

    def file(self, asker: Vehicle, cid: str) -> bytes | None:
        """Give it to a fixed few."""
        given = asker.number < self._share * self.fleet.scenario.vehicles
        return super().file(asker, cid) if given else None


class SilentAfterCommit(Byzantine):
    """Commits and never reveals."""

    def instead(self, effect: Effect) -> Sequence[Effect]:
        """Keep updates back."""
        if isinstance(effect, BroadcastTransaction) and isinstance(
            effect.transaction.payload, ModelUpdate
        ):
            return ()
        return (effect,)


class LateCommitter(Byzantine):
    """Waits with its commitment until others have shown their updates."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._kept: dict[int, Effect] = {}

    def instead(self, effect: Effect) -> Sequence[Effect]:
        """Keep commitments back."""
        if isinstance(effect, BroadcastTransaction) and isinstance(
            effect.transaction.payload, ModelCommit
        ):
            self._kept = {effect.transaction.payload.iteration: effect}
            return ()
        return (effect,)

    def heard(self, event: Event) -> None:
        """Commit once somebody reveals."""
        if not self._kept or not isinstance(event, TransactionReceived):
            return
        payload = event.transaction.payload
        kept = self._kept.pop(payload.iteration, None) if isinstance(payload, ModelUpdate) else None
        if isinstance(kept, BroadcastTransaction):
            self.broadcast(TransactionReceived(kept.transaction))


class LateRevealer(Byzantine):
    """Shows its update only when others have waited for it in vain."""

    def instead(self, effect: Effect) -> Sequence[Effect]:
        """Say updates some time later than its peer would."""
        if isinstance(effect, BroadcastTransaction) and isinstance(
            effect.transaction.payload, ModelUpdate
        ):
            event = TransactionReceived(effect.transaction)
            self.fleet.queue.after(self.rng.randint(*_LATE_MS), self.broadcast, event)
            return ()
        return (effect,)


class MalformedUpdates(Byzantine):
    """Publishes files that are no updates."""

    def update(self, request: TrainingRequest) -> bytes:
        """Cut a true one short, or make noise."""
        true = super().update(request)
        return true[:-3] if request.iteration % 2 else self.rng.randbytes(200)
