"""Who is in a fleet: each vehicle out of `vehicles`, `defaults` and `malicious`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

from bift_ros.consensus.genesis import MAX_MEMBERS
from bift_ros.fleet.description.document import SYNTHETIC, FleetDocument
from bift_ros.fleet.description.fleet import CameraTopics, Impairment, VehicleDescription
from bift_ros.fleet.description.located_yaml import Place, Problem
from bift_ros.fleet.description.section import Section
from bift_ros.identity.vehicle_names import vehicle_name

VEHICLE_KEYS = ("vehicles", "defaults", "malicious")
"""What a fleet's vehicles are made from."""
LEAST_GPU_MEMORY_MB = 128
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)i?B")
_PLAIN = ("mine", "malicious", "storage", "keep", "device", "cpus")
"""Settings that are taken as they stand."""
_MAKE_BAGS = "make some with `bift bag synth` or `bift bag from-images`"


class _Entry(NamedTuple):
    """One vehicle before its settings are made out; others may share its place in the file."""

    place: Place
    own: Mapping[str, Any]


class VehicleBuilder:
    """Makes the vehicles of a document whose VEHICLE_KEYS are sound each.

    `folder` is that of the document's file; what is wrong goes into `problems`.
    """

    def __init__(self, document: FleetDocument, folder: Path) -> None:
        self._document, self._folder = document, folder
        self._defaults = _given(document.defaults)
        self._dealt: dict[Place, list[Path]] = {}
        self.problems: list[Problem] = []

    def vehicles(self, limit: int | None = None) -> tuple[VehicleDescription, ...]:
        """All of them, in order; `limit`: so many instead of the file's number."""
        entries = self._entries(limit)
        wanted: dict[Place, int] = {}
        for entry in entries:
            place, _ = self._source(entry, "bag", "camera")
            wanted[place] = wanted.get(place, 0) + 1
        made = [self._vehicle(n, entry, wanted) for n, entry in enumerate(entries)]
        self._check_names(made, entries)
        if not any(v.mine for v in made):
            self._problem(("vehicles",), "no vehicle mines: set mine: true for one at least")
        return self._with_attackers(made)

    def _problem(self, place: Place, text: str) -> None:
        problem = Problem(place, text)
        if problem not in self.problems:
            self.problems.append(problem)

    def _entries(self, limit: int | None) -> list[_Entry]:
        given = self._document.vehicles
        if isinstance(given, int):
            entries = [_Entry(("vehicles",), {})] * (limit or given)
        else:
            entries = [
                entry
                for n, own in enumerate(given)
                for entry in [_Entry(("vehicles", n), _given(own))] * own.count
            ][:limit]
        if limit is not None and limit > len(entries):
            self._problem(
                ("vehicles",), f"{limit} are asked for, but {len(entries)} are listed here"
            )
        if len(entries) > MAX_MEMBERS:
            self._problem(
                ("vehicles",), f"{len(entries)} are more than a chain has members: {MAX_MEMBERS}"
            )
        return entries

    def _source(self, entry: _Entry, *keys: str) -> tuple[Place, Any]:
        """Where the first of these keys stands for a vehicle, in its own before the defaults."""
        for place, settings in ((entry.place, entry.own), (("defaults",), self._defaults)):
            for key in keys:
                if key in settings:
                    return (*place, key), settings[key]
        return (), None

    def _vehicle(self, n: int, entry: _Entry, wanted: Mapping[Place, int]) -> VehicleDescription:
        for place, settings in ((entry.place, entry.own), (("defaults",), self._defaults)):
            if "bag" in settings and "camera" in settings:
                self._problem((*place, "camera"), "stands beside a bag: delete one of the two")
        settings = {**self._defaults, **entry.own}
        made = {key: settings[key] for key in _PLAIN if key in settings}
        if "memory" in settings:
            made["memory_bytes"] = parse_size(settings["memory"])
        place, share = self._source(entry, "gpu_memory")
        if share is not None:
            made["gpu_memory_mb"] = parse_size(share) >> 20
            if made["gpu_memory_mb"] < LEAST_GPU_MEMORY_MB:
                self._problem(place, f"{share} is too little: give {LEAST_GPU_MEMORY_MB}MB or more")
        place, value = self._source(entry, "bag", "camera")
        if isinstance(value, CameraTopics):
            made["camera"] = value
        elif value is not None and value != SYNTHETIC:
            made["bag"] = self._bag(place, value, wanted[place])
        name = entry.own.get("name", vehicle_name(n))
        return VehicleDescription(name=name, network=self._network(entry), **made)

    def _network(self, entry: _Entry) -> Impairment:
        network = Impairment()
        for settings in (self._defaults, entry.own):
            if "network" in settings:
                network = network.model_copy(update=_given(settings["network"]))
        if network.jitter is not None and network.delay is None:
            place, _ = self._source(entry, "network")
            self._problem((*place, "jitter"), "varies a delay: give delay, too")
        return network

    def _bag(self, place: Place, value: str | list[str], wanted: int) -> Path | None:
        """The next bag from a place in the file that `wanted` vehicles take theirs from."""
        if place not in self._dealt:
            self._dealt[place] = self._find_bags(place, value, wanted)
        bags = self._dealt[place]
        return bags.pop(0) if bags else None

    def _find_bags(self, place: Place, value: str | list[str], wanted: int) -> list[Path]:
        if isinstance(value, str) and "*" not in value:
            return self._bags_at(place, value) * wanted
        texts = [value] if isinstance(value, str) else value
        found = [bag for text in texts for bag in self._bags_at(place, text)]
        if found and len(found) < wanted:
            self._problem(
                place,
                f"{len(found)} bags for {wanted} vehicles: {_MAKE_BAGS}, or lower the number of "
                "vehicles",
            )
        return found

    def _bags_at(self, place: Place, text: str) -> list[Path]:
        folder = self._folder.resolve()
        if "*" in text:
            matching = [folder / name for name in sorted(glob(text, root_dir=folder))]
            bags = [path for path in matching if _is_bag(path)]
            if not bags:
                self._problem(place, f"no bag at {folder / text}: {_MAKE_BAGS}")
            return bags
        path = folder / text
        if not path.exists():
            self._problem(place, f"no bag at {path}: {_MAKE_BAGS}")
        elif not _is_bag(path):
            inside = any(map(_is_bag, path.glob("*")))
            hint = f"; for the bags in it write {text}/*" if inside else ""
            self._problem(place, f"{path} is no bag: it has neither metadata.yaml nor .mcap{hint}")
        return [path]

    def _check_names(self, made: list[VehicleDescription], entries: list[_Entry]) -> None:
        first: dict[str, int] = {}
        for n, vehicle in enumerate(made):
            if first.setdefault(vehicle.name, n) != n:
                self._problem(
                    (*entries[n].place, "name"),
                    f"two vehicles are called {vehicle.name}: give one another name or none",
                )

    def _with_attackers(self, made: list[VehicleDescription]) -> tuple[VehicleDescription, ...]:
        group = self._document.malicious
        place: Place = ("vehicles",)
        if group is not None:
            place = ("malicious", "count")
            first = max(0, len(made) - group.count)
            made[first:] = [replace(v, malicious=v.malicious or group.attack) for v in made[first:]]
        attackers = sum(v.malicious is not None for v in made)
        if attackers == len(made):
            self._problem(
                place, f"{attackers} attackers in a fleet of {len(made)}: leave an honest vehicle"
            )
        return tuple(made)


def parse_size(text: str) -> int:
    """Bytes of `900MB` or `1GB`, a unit being 1024 of the next smaller one, as for Docker.

    Raises ValueError.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 900MB or 1GB")
    return round(float(match[1]) * (1 << 10 * " KMGT".index(match[2] or " ")))


def _is_bag(path: Path) -> bool:
    """Whether there is a rosbag2, maybe one whose recorder was killed."""
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(path.glob("*.mcap"))
    return path.suffix == ".mcap" and path.exists()


def _given(section: Section) -> dict[str, Any]:
    """What stands in the file."""
    return {name: getattr(section, name) for name in section.model_fields_set}
