"""Vehicles that would fill others' disks, or have them ask where nobody serves files."""

from __future__ import annotations

from dataclasses import replace

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import Event, TipReceived, TransactionReceived
from bift_ros.simulation.byzantine_traffic import FalseMessages
from bift_ros.simulation.byzantine_vehicle import Byzantine

_LARGE = 20_000
"""Bytes: many times what a true file has."""
_SAID = 4


class FileHog(FalseMessages):
    """Announces large files, which it really serves, as updates that nobody committed to."""

    def misbehave(self) -> None:
        """Name tasks that don't exist, iterations to come, and models that nobody has."""
        task = self.peer.state.task
        if task is None:
            return
        for n in range(_SAID):
            cid = self.keep(self.rng.randbytes(16) + bytes(_LARGE))
            self.fleet.unnamed.add(cid)
            junk = ModelUpdate(task.model_id, task.current_iter + 1, task.global_cid, cid, 0.5, 1)
            match self.rng.randrange(3):
                case 0:
                    junk = replace(junk, model_id=f"junk{n}")
                case 1:
                    junk = replace(junk, iteration=junk.iteration + 1 + n)
                case _:
                    junk = replace(junk, base_cid=cid)
            self.tell(TransactionReceived(self.sign(junk.iteration, junk)))


class LargeUpdates(Byzantine):
    """Commits to files that are far too large, and shows them in its turn."""

    def update(self, request: TrainingRequest) -> bytes:
        """A true update with much behind it."""
        return super().update(request) + self.rng.randbytes(16) + bytes(_LARGE)


class FalseGateway(Byzantine):
    """Signs another vehicle's address as its own, or one where nobody is."""

    def broadcast(self, event: Event) -> None:
        """Falsify tips only."""
        if isinstance(event, TipReceived):
            tip = event.tip
            event = TipReceived(
                sign_tip(
                    self.key,
                    self.genesis.hash,
                    height=tip.height,
                    tip_hash=tip.hash,
                    learning_weight=tip.learning_weight,
                    provider=self.rng.choice((self.another().url, "simulated://nowhere")),
                    stamp=tip.stamp,
                )
            )
        self.tell(event)
