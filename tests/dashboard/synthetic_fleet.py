"""A fleet that never was: the same picture every time, of any size, with all that a page shows."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bift_ros.dashboard.traffic import Traffic
from bift_ros.history.blocks import BlockSummary, ModelSummary, UpdateSummary
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.view import FleetView, ObservedTip

NOW = 5000.0
"""The listener's clock when the picture was taken, in seconds."""
HEARD = NOW + 3600
"""When the vehicles spoke: in the future, so that on a slow machine none falls silent meanwhile."""
BEGAN_MS = 1_767_225_600_000
TASK = "traffic-lights"
RULE = "robust"
REWARD = 20
CLASS_SHARES = (34, 12, 30, 6, 4, 3, 5, 3, 2, 1)


class SyntheticFleet:
    """Vehicles that learn for some iterations; the last sixth of them attack and are left out."""

    def __init__(self, vehicles: int = 30, blocks: int = 1000, total_iter: int = 600) -> None:
        self.view, self._random = FleetView(), random.Random(7)
        self.names = [f"vehicle_{n:02d}" for n in range(vehicles)]
        self.addresses = [_hash(name)[:40] for name in self.names]
        self._attackers = set(self.addresses[vehicles - vehicles // 6 :])
        self._stakes = dict.fromkeys(self.addresses, 0)
        self._fetched = [10**9 + 3 * 10**6 * n for n in range(vehicles)]
        self._served = [7 * 10**8 + 10**7 * (n % 11) for n in range(vehicles)]
        self._total, self._iteration = total_iter, 0
        self._tip, self._height = _hash("genesis"), 0
        self._accuracy, self._loss = 0.1, 2.3
        for address, name in zip(self.addresses, self.names, strict=True):
            self.view.observe_tip(ObservedTip(name, address, 0, self._tip))
        self._propose()
        while self._height < blocks:
            self.iterate()
        self.speak()

    @contextmanager
    def reading(self) -> Iterator[FleetView]:
        """As FleetListener.reading."""
        yield self.view

    def iterate(self) -> None:
        """An iteration: a block of commitments, and one with the new model; at times a fork."""
        self._iteration += 1
        if self._height % 37 < 2:
            self._fork(1 + self._iteration % 3)
        self._add({"model_commit": len(self.names)})
        updates = tuple(self._updates())
        paid = tuple(u.sender for u in updates if self._is_paid(u))
        for address in paid:
            self._stakes[address] += REWARD
        self._accuracy = 0.96 - 0.8 * math.exp(-self._iteration / 60) + self._random.gauss(0, 0.004)
        for name in self.names:
            loss = 0.12 + 2.1 * math.exp(-self._iteration / 45) * self._random.uniform(0.9, 1.1)
            self.view.observe_loss(name, TASK, self._iteration, loss)
        self._add({"model_update": len(updates)}, updates, self._model(paid))

    def speak(self, now: float = HEARD) -> None:
        """Every vehicle says how it is; one has fallen silent, one stands on a fork."""
        for number in range(len(self.names)):
            self.say(number, NOW - 42 if number == 11 else now)

    def say(self, number: int, now: float = HEARD, **fields: Any) -> None:
        """One vehicle says something else."""
        self.view.observe_status(status_from_json({**self._status(number), **fields}), now)

    def traffic(self, samples: int = 300) -> Traffic:
        """What went through the network in the last minutes, one sample a second."""
        made, wave = Traffic(), random.Random(3)
        self.speak()
        made.sample(self.view, NOW - samples)
        for second in range(samples):
            now = NOW - samples + 1 + second
            busy = second % 60 < 18
            for kind, count in {"model_commit": 3, "model_update": 4, "block": 1}.items():
                for _ in range(busy * (count + wave.randrange(3))):
                    self.view.observe_transaction(kind, self.addresses[0], now)
            for number in range(len(self.names)):
                self._fetched[number] += int(310_000 * (busy or 0.04) * wave.uniform(0.6, 1.4))
                self._served[number] += int(310_000 * (busy or 0.04) * wave.uniform(0.5, 1.4))
            self.speak()
            made.sample(self.view, now)
        return made

    def _propose(self) -> None:
        self._add({"propose_task": 1})

    def _updates(self) -> Iterator[UpdateSummary]:
        for number, address in enumerate(self.addresses):
            if (number + self._iteration) % 23 == 0:
                continue  # out of reach this time
            good = self._accuracy + self._random.gauss(0.01, 0.02)
            accuracy = min(0.99, max(0.05, good * (0.7 if address in self._attackers else 1.0)))
            yield UpdateSummary(address, round(accuracy, 4), 400 + 7 * number)

    def _is_paid(self, update: UpdateSummary) -> bool:
        if update.sender in self._attackers:
            return self._random.random() < 0.06
        return self._random.random() < 0.95

    def _model(self, paid: tuple[str, ...]) -> ModelSummary:
        cid = "bafybei" + _hash(f"model {self._iteration}")[:52]
        return ModelSummary(
            TASK,
            self._iteration,
            self._total,
            cid,
            RULE,
            round(self._accuracy, 4),
            tuple(sorted(paid)),
        )

    def _add(
        self,
        transactions: dict[str, int],
        updates: tuple[UpdateSummary, ...] = (),
        model: ModelSummary | None = None,
    ) -> None:
        block = self._block(self._tip, self._height + 1, transactions, updates, model)
        self.view.observe_block(block, NOW - 3)
        self._tip, self._height = block.hash, block.height

    def _fork(self, length: int) -> None:
        parent, height = self._tip, self._height
        for _ in range(length):
            block = self._block(parent, height + 1, {"model_commit": 11}, (), None, "fork")
            self.view.observe_block(block, NOW - 3)
            parent, height = block.hash, block.height

    def _block(
        self,
        parent: str,
        height: int,
        transactions: dict[str, int],
        updates: tuple[UpdateSummary, ...],
        model: ModelSummary | None,
        salt: str = "",
    ) -> BlockSummary:
        miner = self.addresses[height * 7 % len(self.addresses)]
        name = "0000" + _hash(f"{parent} {salt}")[4:]
        return BlockSummary(
            name, parent, height, miner, BEGAN_MS + 4100 * height, transactions, updates, model
        )

    def _status(self, number: int) -> dict[str, Any]:
        address = self.addresses[number]
        forked = self.view.chain.beside(self._tip) if number == 17 else []
        tip, height = (forked[-1].hash, forked[-1].height) if forked else (self._tip, self._height)
        samples = 400 + 7 * number
        refused = number % 5 * 3
        return {
            "name": self.names[number],
            "address": address,
            "state": ("training", "training", "idle", "mining", "training", "idle")[number % 6],
            "mines": number % 7 != 6,
            "frames_seen": 5000 + 13 * number,
            "samples": samples,
            "skipped": number,
            "class_samples": [samples * share // 100 for share in CLASS_SHARES],
            "epoch": 1 + number % 10,
            "local_epochs": 10,
            "loss": math.nan if number == 3 else round(0.12 + number % 9 * 0.013, 4),
            "height": height,
            "tip": tip,
            "model_id": TASK,
            "current_iter": self._iteration,
            "total_iter": self._total,
            "global_cid": "bafybei" + _hash(f"model {self._iteration}")[:52],
            "accuracy": self._accuracy,
            "rule": RULE,
            "contributors": 24,
            "balance": self._stakes[address],
            "mempool": number % 4,
            "peers": len(self.names) - 1,
            "refused": refused,
            "last_refusal": f"the update's file of {self.names[-1]} is not what its CID says"
            if refused
            else "",
            "equivocations": [f"{self.names[-1]} signed two blocks at height 214"]
            if number == 2
            else [],
            "training_seconds": 2.4,
            "storage_seconds": 0.31,
            "consensus_seconds": 0.72,
            "update_bytes": 310_000,
            "rss_mb": 480 + 3 * number,
            "peak_rss_mb": 530 + 3 * number,
            "gpu_mb": 0,
            "gpu_limit_mb": 0,
            "disk_free_mb": 81_000,
            "fetched_bytes": self._fetched[number],
            "served_bytes": self._served[number],
        }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
