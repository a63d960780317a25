"""What has to be remembered of a vehicle to judge it: one status alone shows no trend."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bift_ros.history.chain import Relation
from bift_ros.monitoring.status import VehicleStatus


@dataclass
class VehicleMemory:
    """Fed with each status of one vehicle. Times are seconds of the listener's clock."""

    refused: int | None = None
    """How many refusals it had counted; None before its first status."""
    refused_at: float = -math.inf
    """When it last refused something that its consensus got from others."""
    failed_at: float = -math.inf
    """When a training of its own last failed."""
    unkept_at: float = -math.inf
    """When it last could not write what it must keep."""
    unkept: str = ""
    """Why."""
    model_id: str = ""
    lowest_loss: float = math.inf
    """At the end of a local training of this task."""
    last_loss: float = math.nan
    """At the end of the newest one; NaN before the first."""
    relation: Relation = Relation.UNKNOWN
    """Where it stands, seen from where most stand."""
    apart_since: float | None = None
    """Since when it stands apart from the fleet's head; None while it does not."""

    def learn(self, status: VehicleStatus, now: float) -> None:
        """Take in a status."""
        before, self.refused = self.refused, status.chain.refused
        if before is not None and self.refused > before:
            if status.chain.last_refusal.startswith("training"):
                self.failed_at = now
            elif status.chain.last_refusal.startswith("store"):
                self.unkept_at, self.unkept = now, status.chain.last_refusal
            else:
                self.refused_at = now
        if status.task.model_id != self.model_id:
            self.model_id = status.task.model_id
            self.lowest_loss, self.last_loss = math.inf, math.nan
        # Earlier epochs of a training are higher by nature.
        if 0 < status.training.local_epochs <= status.training.epoch:
            self.last_loss = status.training.loss
            if self.last_loss < self.lowest_loss:
                self.lowest_loss = self.last_loss

    def compare(self, relation: Relation, now: float) -> None:
        """Take in where it stands."""
        self.relation = relation
        if relation in (Relation.SAME, Relation.AHEAD):
            self.apart_since = None
        elif relation != Relation.UNKNOWN and self.apart_since is None:
            self.apart_since = now
