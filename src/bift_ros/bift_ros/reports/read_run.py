"""Reads a finished run: chains, datasets, settings and logs, and what the run itself measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from bift_ros.chain.store import ChainStore
from bift_ros.chain.verification import verify_chain
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.fleet.runs.reading import keyring_of
from bift_ros.fleet.runtimes.processes import vehicle_log
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.nodes.vehicle.folders import VehicleFolders
from bift_ros.perception.dataset import DatasetError, stored_counts
from bift_ros.reports.chain_history import ChainHistory, block_entry, read_history
from bift_ros.reports.places import ReportError, RunPlace
from bift_ros.reports.refusals import read_refusals
from bift_ros.reports.run import Block, Equivocation, Iteration, Run, Vehicle
from bift_ros.storage.stored_files import StoredFiles


@dataclass
class _Found:
    """What the vehicles' chains have told so far."""

    histories: dict[str, ChainHistory] = field(default_factory=dict)
    """Tip → the chain that ends there."""
    blocks: dict[str, Block] = field(default_factory=dict)
    """Hash → block, of every branch that a vehicle has kept."""
    proofs: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    """(miner, height) → the vehicles that hold a proof that it signed two blocks."""


def read_run(place: RunPlace, done: Callable[[str], object] = lambda name: None) -> Run:
    """Read it all; `done` is told each vehicle's name when that is read.

    Chains that the run itself has not verified are: each block's PoFL is recomputed. Raises
    ReportError, FleetError or GenesisError.
    """
    genesis, measured = load_genesis(place.genesis), place.measured
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
    history = found.histories[tip]
    on_chain = {block.hash for block in history.blocks}
    side = [block for block in found.blocks.values() if block.hash not in on_chain]
    iterations = _with_measurements(history.iterations, measured)
    verdicts = [vehicle.verified for vehicle in vehicles]
    logs = {name: vehicle_log(place.settings / name) for name in place.vehicles}
    run = Run(
        name=place.root.resolve().name,
        genesis=genesis.hash.hex(),
        mode=genesis.policy.mode,
        encrypted=genesis.policy.encrypt_models,
        tip=tip,
        height=history.state.height,
        agreed=standing == len(vehicles),
        verified=False if False in verdicts else None if None in verdicts else True,
        wall_seconds=measured.get("wall_seconds"),
        learning_seconds=history.learning_seconds,
        vehicles=tuple(_with_chain(vehicle, history) for vehicle in vehicles),
        iterations=iterations,
        blocks=(*history.blocks, *sorted(side, key=lambda block: (block.height, block.hash))),
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
            history = _read_chain(name, store, genesis, found)
            tip, height = history.state.tip_hash.hex(), history.state.height
            problem = _problem(name, store, data, place, genesis)
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


def _read_chain(name: str, store: ChainStore, genesis: Genesis, found: _Found) -> ChainHistory:
    tip = store.tip.hex()
    if tip not in found.histories:  # vehicles that agree are read but once
        found.histories[tip] = read_history(genesis, store)
    history = found.histories[tip]
    for block in store.blocks():
        if block.hash.hex() not in found.blocks:
            found.blocks[block.hash.hex()] = block_entry(block, history.names, on_chain=False)
    for first, _ in store.evidence():
        key = (history.name(first.header.miner), first.header.height)
        found.proofs.setdefault(key, []).append(name)
    return history


def _problem(
    name: str, store: ChainStore, data: Path, place: RunPlace, genesis: Genesis
) -> str | None:
    """What is wrong with a vehicle's chain, as the run found it or else by recomputing it."""
    said = place.measured.get("verified", {}).get(name)
    if said is not None:
        return None if said is True else str(said)
    folders = VehicleFolders(data)
    files = StoredFiles(folders.storage, folders.kubo)
    keyring = keyring_of(place.settings / name, genesis)
    return verify_chain(genesis, store, files.get, keyring=keyring).problem


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


def _with_measurements(
    iterations: Sequence[Iteration], measured: Mapping[str, Any]
) -> tuple[Iteration, ...]:
    """Add what the run measured of each global model, which its CID names."""
    cids = measured.get("global_cids", ())
    accuracy = dict(zip(cids, measured.get("accuracy", ()), strict=False))
    parts = dict(zip(cids, measured.get("seconds", ()), strict=False))
    return tuple(
        replace(i, test_accuracy=accuracy.get(i.global_cid), parts=parts.get(i.global_cid))
        for i in iterations
    )


def _with_chain(vehicle: Vehicle, history: ChainHistory) -> Vehicle:
    """Add what the run's chain says of a vehicle."""
    stakes = {history.name(a): stake for a, stake in history.state.balances.items()}
    samples = vehicle.samples
    if samples is None:
        samples = history.trained_on.get(vehicle.name)
    return replace(vehicle, stake=stakes.get(vehicle.name), samples=samples)


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
