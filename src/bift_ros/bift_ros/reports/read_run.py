"""Reads a finished run: chains, datasets, settings and logs, and what the run itself measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.fleet.runs.reading import outcome_of
from bift_ros.fleet.runtimes.folder import vehicle_log
from bift_ros.history.blocks import summary_of
from bift_ros.history.chain import ChainHistory
from bift_ros.history.stored import Replay, replay
from bift_ros.history.tree import BlockTree
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.perception.dataset import DatasetError, stored_counts
from bift_ros.reports.documents import block_documents, iteration_documents
from bift_ros.reports.places import ReportError, RunPlace
from bift_ros.reports.refusals import read_refusals
from bift_ros.reports.run import Equivocation, Run, Vehicle


@dataclass
class _Found:
    """What the vehicles' chains have told so far."""

    chains: dict[str, Replay] = field(default_factory=dict)
    """Tip → the chain that ends there."""
    blocks: BlockTree = field(default_factory=lambda: BlockTree(bounded=False))
    """Of every branch that a vehicle has kept."""
    proofs: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """(miner, height) → the vehicles that hold a proof that it signed two blocks."""


def read_run(place: RunPlace, done: Callable[[str], object] = lambda name: None) -> Run:
    """Read it all; `done` is told each vehicle's name when that is read.

    Chains that the run itself has not verified are: each block's PoFL is recomputed. Raises
    ReportError, FleetError or GenesisError.
    """
    genesis, measured = load_genesis(place.settings / "genesis.json"), place.measured
    found, vehicles = _Found(), []
    for name in place.vehicles:
        with place.data_of(name) as data:
            vehicles.append(_vehicle(name, data, place, genesis, found))
        done(name)
    tips = Counter(vehicle.tip for vehicle in vehicles if vehicle.tip is not None)
    if not tips:
        problems = "; ".join(f"{v.name}: {v.problem}" for v in vehicles)
        raise ReportError(f"no chain in {place.root} can be read: {problems or 'no vehicle there'}")
    tip, standing = tips.most_common(1)[0]
    chain, history = found.chains[tip], ChainHistory(found.blocks, tip)
    verdicts = [vehicle.verified for vehicle in vehicles]
    logs = {name: vehicle_log(place.settings / name) for name in place.vehicles}
    run = Run(
        name=place.root.resolve().name,
        genesis=genesis.hash.hex(),
        mode=genesis.policy.mode,
        encrypted=genesis.policy.encrypt_models,
        tip=tip,
        height=chain.state.height,
        agreed=standing == len(vehicles),
        verified=False if False in verdicts else None if None in verdicts else True,
        wall_seconds=measured.get("wall_seconds"),
        learning_seconds=_learning_seconds(history),
        vehicles=tuple(_with_chain(vehicle, chain, history) for vehicle in vehicles),
        iterations=iteration_documents(history, chain, measured),
        blocks=block_documents(history, chain),
        refusals=read_refusals({name: log for name, log in logs.items() if log.exists()}),
        equivocations=tuple(
            Equivocation(miner, height, tuple(holders))
            for (miner, height), holders in sorted(found.proofs.items())
        ),
        missing=(),
    )
    unlogged = [name for name, log in logs.items() if not log.exists()]
    return replace(run, missing=tuple(_missing(run, unlogged)))


def _vehicle(name: str, data: Path, place: RunPlace, genesis: Genesis, found: _Found) -> Vehicle:
    """What one vehicle has; its branches and proofs go to `found`."""
    settings = place.settings / name
    tip, height, verified, problem = None, None, None, None
    try:
        with closing(ChainStore(VehicleFolders(data).chain, genesis, read_only=True)) as store:
            state = _read_chain(name, store, genesis, found).state
            tip, height = state.tip_hash.hex(), state.height
        problem = _problem(name, data, place, genesis)
        verified = problem is None
    except ChainError as error:
        verified, problem = False, str(error)
    except KeyFileError as error:  # encrypted models, and nobody to read them
        problem = str(error)
    counts = _counts(VehicleFolders(data).dataset)
    return Vehicle(
        name=name,
        height=height,
        tip=tip,
        verified=verified,
        problem=problem,
        stake=None,
        samples=sum(counts.values()) if counts is not None else None,
        classes=counts,
        peak_rss_mb=place.measured.get("peak_rss_mb", {}).get(name),
        attack=_attack(settings / "parameters.yaml", name),
    )


def _read_chain(name: str, store: ChainStore, genesis: Genesis, found: _Found) -> Replay:
    tip = store.tip.hex()
    if tip not in found.chains:  # vehicles that agree are read but once
        found.chains[tip] = replay(genesis, store)
    chain = found.chains[tip]
    for block in store.blocks():
        found.blocks.add(summary_of(block))
    for first, _ in store.evidence():
        key = (chain.name(first.header.miner), first.header.height)
        found.proofs.setdefault(key, []).append(name)
    return chain


def _problem(name: str, data: Path, place: RunPlace, genesis: Genesis) -> str | None:
    """What is wrong with a vehicle's chain, as the run found it or else by recomputing it."""
    said = place.measured.get("verified", {}).get(name)
    if said is not None:
        return None if said is True else str(said)
    return outcome_of(data, genesis, place.settings / name).problem


def _counts(dataset: Path) -> Mapping[str, int] | None:
    try:
        counts = stored_counts(dataset)
    except DatasetError:
        return None
    return counts.per_class if counts is not None else None


def _attack(parameters: Path, name: str) -> str | None:
    """What a vehicle's parameters set it to do."""
    try:
        document = yaml.safe_load(parameters.read_text(encoding="utf-8"))
        attack = document[f"/{name}/vehicle"]["ros__parameters"]["malicious"]
    except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
        return None
    return str(attack) if attack else None


def _with_chain(vehicle: Vehicle, chain: Replay, history: ChainHistory) -> Vehicle:
    """Add what the run's chain says of a vehicle."""
    stakes = {chain.name(a): stake for a, stake in chain.state.balances.items()}
    samples = vehicle.samples
    if samples is None:
        updates = (u for i in reversed(history.iterations) for u in i.block.updates)
        samples = next((u.samples for u in updates if chain.name(u.sender) == vehicle.name), None)
    return replace(vehicle, stake=stakes.get(vehicle.name), samples=samples)


def _learning_seconds(history: ChainHistory) -> float:
    if not history.iterations:
        return 0.0
    first, iterations = history.tasks[0].proposal, history.iterations
    since = first.time if first is not None else iterations[0].block.timestamp
    return (iterations[-1].block.timestamp - since) / 1000


def _missing(run: Run, unlogged: Sequence[str]) -> Iterator[str]:
    """A sentence for each thing that a report could tell, and this run does not."""
    if run.wall_seconds is None:
        yield "Wall time: only a demo that came to its end has measured it."
    if all(i.test_accuracy is None for i in run.iterations):
        yield (
            "Accuracy on a held-out test set: only a demo measures it. What is shown is stated on "
            "the chain, the lower median of what the contributors claim."
        )
    if all(i.parts is None for i in run.iterations):
        yield "Seconds of training, storage and consensus: only a demo measures them."
    if all(vehicle.peak_rss_mb is None for vehicle in run.vehicles):
        yield "Memory: only a demo measures it."
    if any(vehicle.classes is None for vehicle in run.vehicles):
        yield (
            "Datasets: not all of them are there. Sizes are then what the vehicle's last update "
            "was trained on, by its own word."
        )
    if unlogged:
        yield f"Refused messages: there is no log of {', '.join(unlogged)}."
