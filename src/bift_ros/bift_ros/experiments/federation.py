"""One federation, iteration by iteration, by the vehicles' own code.

`learning` trains, `attacks` poisons and crafts, `pofl` encodes and aggregates. Only the chain and
the wire are left out; they change no number. The last vehicles are the malicious ones.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bift_ros.attacks.backdoor import Backdoor
from bift_ros.attacks.interface import Attack, Knowledge, View
from bift_ros.attacks.registry import make_attack
from bift_ros.consensus.genesis import Policy
from bift_ros.experiments.datasets import Dataset
from bift_ros.experiments.splits import split
from bift_ros.learning.batched import chunk_sizes
from bift_ros.learning.data import Crops
from bift_ros.learning.evaluation import evaluate
from bift_ros.learning.jobs import TrainingConfig
from bift_ros.learning.models import read_parameters, spec_of, write_parameters
from bift_ros.pofl.aggregate import Aggregation, Update, aggregate
from bift_ros.pofl.codec import (
    UPDATE_EXPONENT,
    Int16Array,
    Int32Array,
    ModelSpec,
    decode_model,
    encode_model,
    encode_update,
)
from bift_ros.pofl.files import serialize_update
from bift_ros.storage.cid import cid_of

NO_ATTACK = "none"
Arithmetic = Literal["fixed_point", "paired", "float32", "control"]
"""How updates travel and add up: `fixed_point` as in a vehicle; `paired` the same, and in every
iteration the same local models are also averaged in float32 and that model is measured, then
dropped; `float32` FedAvg in floats; `control` that from a start one unit in the last place off."""
Flat = npt.NDArray[np.float32]
"""A model's parameters, float32[d], in the order of its spec."""
_POISON, _CRAFT = range(2)  # first word of a random stream's seed: no two uses share numbers


@dataclass(frozen=True)
class Settings:
    """All that a run's numbers depend on, but for how many iterations it has."""

    attack: str
    """A name in `attacks.registry.ATTACKS`, or `none`."""
    rule: str
    """The aggregation rule, a name in `pofl.aggregate.RULES`."""
    malicious: float
    """The share of malicious vehicles. The rules assume just this share."""
    knowledge: Knowledge
    """What the attackers know of the honest updates; `own` is what commit–reveal leaves them."""
    late: bool
    """Whether the attackers' updates come too late, and are left out."""
    alpha: float | None
    """Of the Dirichlet label split; None: identically distributed."""
    seed: int
    vehicles: int
    crops: int
    """Of each vehicle."""
    local_epochs: int
    batch_size: int
    learning_rate: float
    data: str
    """The data set's digest."""
    arithmetic: Arithmetic = "fixed_point"
    """Others than that of a vehicle are for FedAvg that nobody attacks."""

    def __post_init__(self) -> None:
        if self.arithmetic != "fixed_point" and (self.attack, self.rule) != (NO_ATTACK, "fedavg"):
            raise ValueError(
                f"{self.arithmetic} is for FedAvg without an attack, "
                f"not for {self.rule} under {self.attack}"
            )

    @property
    def attackers(self) -> int:
        """How many vehicles are malicious: ⌊share × vehicles⌋."""
        return self.assumed_among(self.vehicles)

    def assumed_among(self, updates: int) -> int:
        """The f that a fleet whose policy assumes the real share takes for so many updates."""
        return Policy(byzantine_fraction=float(self.malicious)).byzantine_among(updates)

    def config(self) -> TrainingConfig:
        """How each vehicle trains in an iteration."""
        return TrainingConfig(self.local_epochs, self.batch_size, self.learning_rate)

    def backdoor(self) -> Backdoor | None:
        """Whose success is measured, if any's. Where nobody attacks: what a model that nobody
        backdoored mistakes for its target."""
        attack = Backdoor() if self.attack == NO_ATTACK else make_attack(self.attack)
        return attack if isinstance(attack, Backdoor) else None

    def as_json(self) -> str:
        """Canonical, one line; it is in the draws of `mixed`, so a default says nothing."""
        values = asdict(self)
        if self.arithmetic == "fixed_point":
            del values["arithmetic"]
        return json.dumps(values, sort_keys=True)

    def simplest(self) -> Settings:
        """The settings that give the same numbers and name nothing without effect.

        Where updates come late, it doesn't matter which; the Bulyan attack is the Krum attack (He
        et al. 2022, VI-B 3); and where an attack waits for nothing, knowledge doesn't help it and
        it is in time. With `own` knowledge nothing is worth waiting for, so attackers are in time.
        """
        if self.attack == NO_ATTACK or not self.malicious:
            late = self.late and self.malicious > 0
            return replace(self, attack=NO_ATTACK, knowledge="full", late=late)
        if not make_attack(self.attack).waits:
            return replace(self, knowledge="full", late=False)
        if self.late and self.knowledge == "full":
            return replace(self, attack=NO_ATTACK)
        attack = "krum_attack" if self.attack == "bulyan_attack" else self.attack
        return replace(self, attack=attack, late=False)


@dataclass(frozen=True)
class State:
    """A run so far: all that the next iteration needs, and what was measured."""

    model: Int32Array | Flat
    """int32[d]: the global model; float32[d] where that is the arithmetic."""
    previous: Int32Array | Flat
    """The global model one iteration before; at first the same."""
    accuracy: tuple[float, ...] = ()
    """On the test crops after each iteration, percent."""
    backdoor: tuple[float, ...] = ()
    """How many stamped test crops are taken for the target of `Settings.backdoor`, percent, after
    each iteration; empty where there is none."""
    sent: tuple[tuple[bool, ...], ...] = ()
    """For each iteration and vehicle, whether its update was in time (and its training finite)."""
    contributed: tuple[tuple[bool, ...], ...] = ()
    """For each iteration and vehicle, whether the chain would have rewarded it."""
    paired: tuple[float, ...] = ()
    """Accuracy of float32 on the same local models, where the arithmetic is `paired`."""

    @property
    def iterations(self) -> int:
        """How many iterations are done."""
        return len(self.accuracy)


class Federation:
    """The vehicles of one run, and what an iteration does to its state."""

    def __init__(
        self, settings: Settings, data: Dataset, model: nn.Module, device: torch.device
    ) -> None:
        """``model`` gives the architecture and the first global model; it is copied."""
        self.settings = settings
        self._attack = Attack() if settings.attack == NO_ATTACK else make_attack(settings.attack)
        self._model, self._device = copy.deepcopy(model), device
        self._test = data.test
        parts = split(
            data.train.labels.numpy(),
            settings.vehicles,
            settings.crops,
            settings.alpha,
            settings.seed,
        )
        honest = settings.vehicles - settings.attackers
        # Who knows the honest updates and crafts its own from them, or comes too late, needn't.
        blind = not settings.late and (settings.knowledge == "own" or not self._attack.waits)
        self.crops: list[Crops] = [
            self._own_crops(data.train, part, vehicle if vehicle >= honest else None)
            for vehicle, part in enumerate(parts[: settings.vehicles if blind else honest])
        ]
        """What each vehicle that trains trains on: all honest ones, and attackers where it shows in
        what they send."""
        self.chunks = chunk_sizes(honest) + chunk_sizes(len(self.crops) - honest)
        """How many of them train together, honest ones apart from attackers."""

    @cached_property
    def crop_digests(self) -> list[bytes]:
        """Of each vehicle's `crops`."""
        return [
            hashlib.sha256(crops.images.numpy().tobytes() + crops.labels.numpy().tobytes()).digest()
            for crops in self.crops
        ]

    def _own_crops(self, train: Crops, part: npt.NDArray[np.int64], attacker: int | None) -> Crops:
        chosen = torch.from_numpy(part)
        images, labels = train.images[chosen], train.labels[chosen]
        if attacker is None:
            return Crops(images, labels)
        rng = np.random.default_rng((_POISON, self.settings.seed, attacker))
        poisoned, flipped = self._attack.poison(images.numpy(), labels.numpy(), rng)
        return Crops(torch.from_numpy(poisoned), torch.from_numpy(flipped))

    def begin(self) -> State:
        """Before the first iteration: what fixed point can say of the first model."""
        start: Int32Array | Flat = encode_model(read_parameters(self._model))
        if self.settings.arithmetic in ("float32", "control"):
            start = floats(start)
        if self.settings.arithmetic == "control":
            start = np.nextafter(start, np.float32(np.inf), dtype=np.float32)
        return State(start, start)

    def seeds(self, state: State) -> list[int]:
        """Of each next training."""
        first = (self.settings.seed * 1000 + state.iterations) * 1000
        return list(range(first, first + len(self.crops)))

    def step(self, state: State, trained: npt.NDArray[np.float32]) -> State:
        """The next state, from the trained models float32[k, d] of the vehicles that have `crops`.

        A vehicle whose training diverged (its row is not finite) sends nothing; where none sends,
        the model stays as it is.
        """
        if state.model.dtype == np.float32:
            finite = np.flatnonzero(np.isfinite(trained).all(axis=1)).tolist()
            return self._measured(state, _average(state, trained), finite, finite)
        updates = self._submitted(state, trained)
        model, contributors = state.model, frozenset[int]()
        if updates:
            result = self._aggregate(state, list(updates.values()))
            model, contributors = result.model, _senders(result, updates)
        after = self._measured(state, model, updates, contributors)
        if self.settings.arithmetic != "paired":
            return after
        pair = self._accuracy_of(_average(state, trained))
        return replace(after, paired=(*state.paired, pair))

    def _measured(
        self,
        state: State,
        model: Int32Array | Flat,
        sent: Collection[int],
        contributed: Collection[int],
    ) -> State:
        """The state after `state`, whose vehicles have come to a model."""
        vehicles = range(self.settings.vehicles)
        return replace(
            state,
            model=model,
            previous=state.model,
            accuracy=(*state.accuracy, self._accuracy_of(floats(model))),
            backdoor=state.backdoor + self._backdoor_success(),
            sent=(*state.sent, tuple(v in sent for v in vehicles)),
            contributed=(*state.contributed, tuple(v in contributed for v in vehicles)),
        )

    def _submitted(self, state: State, trained: npt.NDArray[np.float32]) -> dict[int, Update]:
        """The updates that are in time, by vehicle."""
        settings, model = self.settings, state.model.astype(np.int32, copy=False)
        start, honest = decode_model(model), settings.vehicles - settings.attackers
        finite = np.asarray(np.isfinite(trained).all(axis=1))
        local = {vehicle: trained[vehicle] for vehicle in range(honest) if finite[vehicle]}
        if settings.attackers and not settings.late and local:
            own = np.zeros((settings.attackers, start.size), np.float32)
            own[: len(trained) - honest] = np.where(
                finite[honest:, None], trained[honest:] - start, np.float32(0)
            )
            view = View.of(
                settings.knowledge,
                honest=np.stack(list(local.values())) - start,
                own=own,
                global_model=start,
                previous=start - floats(state.previous),
                rng=np.random.default_rng((_CRAFT, settings.seed, state.iterations)),
            )
            crafted = start + self._attack.craft(view).astype(np.float64)
            local |= dict(enumerate(crafted, honest))
        return {
            vehicle: self._update(vehicle, encode_update(values, model))
            for vehicle, values in local.items()
        }

    def _update(self, vehicle: int, values: Int16Array) -> Update:
        file = serialize_update(self._spec, values, UPDATE_EXPONENT)
        return Update(cid_of(file), f"{vehicle:040x}", self.settings.crops, values)

    def _aggregate(self, state: State, updates: Sequence[Update]) -> Aggregation:
        """What a miner does. Its block's parent is stood for by a hash of the settings, the
        iteration and the model, so it differs in every iteration of every run."""
        parent = hashlib.sha256(f"{self.settings.as_json()}{state.iterations}".encode())
        parent.update(state.model.tobytes())
        return aggregate(
            state.model.astype(np.int32, copy=False),
            updates,
            rule=self.settings.rule,
            byzantine=self.settings.assumed_among(len(updates)),
            seed=parent.digest(),
            iteration=state.iterations,
        )

    def _accuracy_of(self, model: Flat) -> float:
        write_parameters(self._model, model)
        return self._accuracy(self._test)

    def _accuracy(self, crops: Crops) -> float:
        return round(100.0 * evaluate(self._model, crops, self._device).accuracy, 6)

    def _backdoor_success(self) -> tuple[float, ...]:
        return () if self._trials is None else (self._accuracy(self._trials),)

    @cached_property
    def _spec(self) -> ModelSpec:
        return spec_of(self._model)

    @cached_property
    def _trials(self) -> Crops | None:
        """Stamped test crops, labelled as the attackers want them taken."""
        backdoor = self.settings.backdoor()
        if backdoor is None:
            return None
        stamped = backdoor.trials(self._test.images.numpy(), self._test.labels.numpy())
        labels = torch.full((len(stamped),), backdoor.target)
        return Crops(torch.from_numpy(stamped), labels)


def floats(model: Int32Array | Flat) -> Flat:
    """A global model as vehicles train from it, float32[d]."""
    if model.dtype == np.float32:
        return model.astype(np.float32, copy=False)
    return decode_model(model.astype(np.int32, copy=False))


def _average(state: State, trained: Flat) -> Flat:
    """FedAvg in float32 (McMahan 2017, algorithm 1) of local models float32[k, d].

    All are of as many crops. Those that are not finite are left out.
    """
    finite = trained[np.isfinite(trained).all(axis=1)]
    return finite.mean(axis=0, dtype=np.float32) if len(finite) else floats(state.model)


def _senders(result: Aggregation, updates: dict[int, Update]) -> frozenset[int]:
    """The vehicles that contributed: of equal updates the first ones, as the chain counts them."""
    copies = Counter(result.contributors)
    chosen = set()
    for vehicle in sorted(updates):
        if copies[updates[vehicle].cid]:
            copies[updates[vehicle].cid] -= 1
            chosen.add(vehicle)
    return frozenset(chosen)
