#!/usr/bin/env python3
"""Look up known vulnerabilities of all that Bift is built of: make audit

What is looked up: every Python pin, the Go modules that the Kubo built here holds, and the
dashboard's library from npm. Where: at OSV (https://osv.dev), or in folders of OSV's files, such as
checkouts of pypa/advisory-database, golang/vulndb and github/advisory-database.

Exit status: 0 where all was looked up and nothing is known but what requirements/accepted.txt
gives a reason for, 1 where something is known, 3 where something could not be looked up, or only
in files that are too old.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from bift_setup.kubo import find_go
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from vendor_uplot import PACKAGE as UPLOT

ROOT = Path(__file__).resolve().parents[1]
SERVICE = "https://api.osv.dev"
KNOWN, NOT_CHECKED = 1, 3
MAX_AGE = timedelta(days=30)
"""Of the newest advisory in a folder: an older collection says nothing of what is known today."""
_BATCH = 1000
_TIMEOUT = 30.0


class Package(NamedTuple):
    """One thing that is looked up, as OSV calls it."""

    ecosystem: str
    name: str
    version: str


class Finding(NamedTuple):
    """A vulnerability that is known of a package."""

    package: Package
    advisory: str
    summary: str


class SourceError(Exception):
    """Why somewhere nothing could be looked up."""


def python_packages(pins: str) -> list[Package]:
    """Those of requirements/bift.txt, in which the vehicles' are."""
    found = (line.partition(";")[0].strip().partition("==") for line in pins.splitlines())
    return [Package("PyPI", canonicalize_name(name), version) for name, _, version in found]


def npm_packages() -> list[Package]:
    """The one that the dashboard has a copy of."""
    name, _, version = UPLOT.rpartition("@")
    return [Package("npm", name, version)]


def go_packages(listing: str) -> list[Package]:
    """What `go version -m` tells of a binary: its modules, and Go's own library."""
    found: list[Package] = []
    for line in listing.splitlines():
        words = line.split()
        if words[:1] == ["=>"]:
            found.pop()  # what replaced it counts
        if words[:1] in (["mod"], ["dep"], ["=>"]):
            found.append(Package("Go", words[1], words[2].removeprefix("v")))
        elif go := re.search(r": go(\d+\.\d+(?:\.\d+)?)", line):
            found.append(Package("Go", "stdlib", go[1]))
    return found


def built_kubo() -> list[Package]:
    """The Go modules of the Kubo that `make kubo` has built. Raises SourceError."""
    binary, go = ROOT / "install" / "kubo" / "ipfs", find_go(os.environ)
    if go is None or not binary.exists():
        raise SourceError("`make kubo` has built none here, so its Go modules aren't known")
    done = subprocess.run([go, "version", "-m", binary], capture_output=True, text=True, check=True)
    return go_packages(done.stdout)


def ask_service(packages: Sequence[Package], service: str = SERVICE) -> Iterator[Finding]:
    """What OSV knows of the packages. Raises SourceError."""
    for at in range(0, len(packages), _BATCH):
        batch = packages[at : at + _BATCH]
        queries = [
            {"package": {"ecosystem": p.ecosystem, "name": p.name}, "version": p.version}
            for p in batch
        ]
        results = _ask(f"{service}/v1/querybatch", {"queries": queries}).get("results", [])
        if len(results) != len(batch):
            raise SourceError(f"{service} answered {len(results)} of {len(batch)} questions")
        for package, result in zip(batch, results, strict=True):
            for known in result.get("vulns", []):
                yield _finding(package, _ask(f"{service}/v1/vulns/{known['id']}"))


def _ask(url: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            read = json.load(answer)
    except (OSError, ValueError) as error:
        raise SourceError(f"{url.partition('/v1')[0]} can't be asked: {error}") from error
    if not isinstance(read, dict):
        raise SourceError(f"{url} answered something else than an object")
    return read


def search_folder(
    packages: Iterable[Package], folder: Path, now: datetime
) -> tuple[list[Finding], dict[str, str]]:
    """What a folder of OSV files knows; and why that doesn't count, for an ecosystem it lacks."""
    wanted: dict[tuple[str, str], list[Package]] = {}
    for package in packages:
        wanted.setdefault((package.ecosystem, package.name), []).append(package)
    newest: dict[str, str] = {}
    committed = _committed(folder)
    found = []
    for file in sorted(folder.rglob("*")):
        if file.suffix not in (".json", ".yaml"):
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        document = json.loads(text) if file.suffix == ".json" else _yaml(text)
        if not isinstance(document, dict) or "affected" not in document:
            continue
        for affected in document["affected"]:
            named = affected.get("package", {})
            ecosystem, name = named.get("ecosystem", ""), named.get("name", "")
            dates = (str(document.get(what, "")) for what in ("modified", "published"))
            newest[ecosystem] = max(newest.get(ecosystem, committed), *dates)
            key = ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name
            for package in wanted.get(key, []):
                if "withdrawn" not in document and is_affected(package, affected):
                    found.append(_finding(package, document))
    too_old = {}
    for ecosystem, _ in wanted:
        last = newest.get(ecosystem)
        if last is None:
            too_old[ecosystem] = f"{folder} has no advisories of it"
        elif datetime.fromisoformat(last[:19]).replace(tzinfo=timezone.utc) < now - MAX_AGE:
            too_old[ecosystem] = f"what {folder} knows of it is of {last[:10]}"
    return list(dict.fromkeys(found)), too_old


def _committed(folder: Path) -> str:
    """When a checkout's newest commit was made; nothing for any other folder."""
    git = ["git", "-C", str(folder), "log", "-1", "--format=%cI"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=yaml.CBaseLoader)  # everything a string, and fast


def is_affected(package: Package, affected: Mapping[str, Any]) -> bool:
    """Whether a version is among those that an advisory names, or within its ranges."""
    if package.version in affected.get("versions", []):
        return True
    key = _python_key if package.ecosystem == "PyPI" else _semantic_key
    version = key(package.version)
    for ranged in affected.get("ranges", []):
        if ranged.get("type") in ("ECOSYSTEM", "SEMVER"):
            # "0" stands for what is before any version.
            events = [
                (where != "0", key(where), what)
                for event in ranged["events"]
                for what, where in event.items()
            ]
            inside = False
            for is_version, where, what in sorted(events, key=lambda event: event[:2]):
                if what == "introduced" and (not is_version or version >= where):
                    inside = True
                elif (what == "fixed" and version >= where) or (
                    what == "last_affected" and version > where
                ):
                    inside = False
            if inside:
                return True
    return False


def _python_key(version: str) -> Any:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")


def _semantic_key(version: str) -> Any:
    """Semantic Versioning 2.0, section 11."""
    core, _, pre = version.removeprefix("v").partition("+")[0].partition("-")
    numbers = tuple(int(number) for number in core.split(".") if number.isdigit())
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pre.split("."))
    return (*numbers, 0, 0, 0)[:3], not pre, parts


def _finding(package: Package, advisory: Mapping[str, Any]) -> Finding:
    aliases = [alias for alias in advisory.get("aliases", []) if alias.startswith("CVE-")]
    name = " = ".join([str(advisory["id"]), *aliases])
    text = advisory.get("summary") or advisory.get("details", "")
    return Finding(package, name, " ".join(str(text).split())[:160])


def accepted_reasons(text: str) -> dict[str, str]:
    """Why advisories are of no consequence here, by what they are called."""
    lines = (line.partition(" ") for line in text.splitlines() if line[:1] not in ("", "#"))
    return {advisory: reason for advisory, _, reason in lines}


def audit(
    packages: Sequence[Package],
    folders: Sequence[Path],
    ask: Callable[[Sequence[Package]], Iterable[Finding]],
    now: datetime,
) -> tuple[list[Finding], dict[str, list[str]]]:
    """Look all up; what is known, and for each ecosystem not looked up, why not."""
    found: list[Finding] = []
    reasons: dict[str, list[str]] = {package.ecosystem: [] for package in packages}
    if not folders:
        try:
            return list(ask(packages)), {}
        except SourceError as error:
            return [], {ecosystem: [str(error)] for ecosystem in reasons}
    for folder in folders:
        known, lacks = search_folder(packages, folder, now)
        found += known
        for ecosystem in list(reasons):
            if ecosystem in lacks:
                reasons[ecosystem].append(lacks[ecosystem])
            else:
                del reasons[ecosystem]
    return found, reasons


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--advisories", type=Path, action="append", default=[], metavar="FOLDER",
        help="of OSV's files; several may be given (default: ask OSV itself)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    packages = python_packages((ROOT / "requirements" / "bift.txt").read_text()) + npm_packages()
    unknown = {}
    try:
        packages += built_kubo()
    except SourceError as error:
        unknown["Kubo"] = [str(error)]
    found, reasons = audit(packages, given.advisories, ask_service, datetime.now(timezone.utc))
    unknown |= reasons
    accepted = accepted_reasons((ROOT / "requirements" / "accepted.txt").read_text())
    counted = 0
    for finding in sorted(found):
        reason = accepted.get(finding.advisory.partition(" ")[0])
        counted += reason is None
        name = f"{finding.package.ecosystem} {finding.package.name} {finding.package.version}"
        verdict = f" [accepted: {reason}]" if reason is not None else ""
        print(f"{name}: {finding.advisory}: {finding.summary}{verdict}")
    print(f"{len(packages)} packages, {len(found)} known vulnerabilities, {counted} not accepted")
    for what, why in unknown.items():
        print(f"NOT CHECKED: {what}: {'; '.join(why)}", file=sys.stderr)
    return KNOWN if counted else NOT_CHECKED if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
