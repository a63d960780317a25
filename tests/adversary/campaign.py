"""Attacks one fleet in many ways in turn, and says how its vehicles bore it.

`scripts/enter python tests/adversary/campaign.py --seconds 20 --out out/attacked` runs every attack
for so long and compares with the same fleet left in peace; `--only huge crowd` runs some.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from adversary.attack import ATTACKS, BY_MEMBER
from adversary.fleet import HONEST, LIAR, AttackedFleet, attacked_fleet
from adversary.stranger import Target
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import blocks_of
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.description.fleet import TaskDescription
from bift_ros.fleet.runs.evaluation import Evaluator
from bift_ros.fleet.runs.reading import outcome_of, read_model
from bift_ros.fleet.runtimes.domain import ros_environment
from bift_ros.fleet.runtimes.folder import FleetFolder, key_file
from bift_ros.synthesis.synth import synthesize

FRAMES, TEST_CROPS, SEED = 200, 1000, 1
ATTACK_GRACE = 120.0
"""Seconds that an attacker may take beside its attack, on a busy machine."""
PATIENCE = 300.0
"""Seconds that the rest of the iterations may take, on a busy machine."""
ITERATION_SECONDS = 4.5
"""About what one takes."""
LAST_MODELS = 5
MEGABYTE = 1 << 20


@dataclass
class Attacked:
    """One attack."""

    name: str
    seconds: float
    found: dict[str, Any]
    """What the attacker says of it."""
    iterations: int
    """Of the slowest vehicle, meanwhile."""
    worst_answer: float
    peak_rss_mb: int
    """The largest of all vehicles'."""
    growth_mb: int
    """By how much the most a vehicle took then is more than what it had taken before."""
    log_bytes_per_s: int


@dataclass
class Campaign:
    """All of them, and the fleet as a whole."""

    attacks: list[Attacked] = field(default_factory=list)
    seconds: float = 0.0
    iterations: int = 0
    longest_pause: float = 0.0
    worst_answer: float = 0.0
    peak_rss_mb: dict[str, int] = field(default_factory=dict)
    log_bytes_per_s: int = 0
    disk_mb: dict[str, int] = field(default_factory=dict)
    samples: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    accuracy: float = 0.0
    """On a test set of no vehicle's; see `measure_accuracy`."""


def make_bags(folder: Path) -> Path:
    synthesize(len(HONEST), FRAMES, folder, seed=SEED, test_crops=TEST_CROPS)
    return folder


def attack(
    fleet: AttackedFleet, out: Path, names: Sequence[str], seconds: float
) -> list[tuple[str, dict[str, Any]]]:
    """Run attackers beside each other, each a process; what they say."""
    target = Target(
        HONEST,
        str(fleet.folder.genesis),
        str(key_file(fleet.folder.vehicle(LIAR))),  # where the fleet has such a member
        tuple(_gateways(fleet)),
    )
    target.write(out / "target.json")
    attackers = []
    for name in names:
        log = (out / f"{name}.log").open("wb")
        command = [
            sys.executable, str(Path(__file__).with_name("attack.py")), name, str(seconds),
            str(out / "target.json"),
        ]  # fmt: skip
        environment = {**os.environ, **fleet.environment}
        attackers.append(
            (name, subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log))
        )
        log.close()
    found = []
    try:
        for name, attacker in attackers:
            printed, _ = attacker.communicate(timeout=seconds + ATTACK_GRACE)
            if attacker.returncode == 0:
                found.append((name, json.loads(printed)))
            else:
                found.append((name, {"failed": (out / f"{name}.log").read_text()[-2000:]}))
    finally:
        for _, attacker in attackers:
            if attacker.poll() is None:
                attacker.kill()
                attacker.wait()
    return found


def _gateways(fleet: AttackedFleet) -> list[str]:
    """As the vehicles say when they start."""
    found = []
    for name in HONEST:
        log = (fleet.folder.vehicle(name) / "vehicle.log").read_text()
        found.append(log.partition("serves its files at ")[2].split()[0])
    return found


def run_attacks(
    fleet: AttackedFleet,
    groups: Sequence[Sequence[str]],
    seconds: float,
    out: Path,
    iterations: int,
) -> Campaign:
    """Attack with each group in turn while the fleet learns, until it has learned so much."""
    campaign, began = Campaign(), time.monotonic()
    for names in groups:
        since, first = time.monotonic(), fleet.iteration()
        before = {name: fleet.seen[name].peak_rss() for name in HONEST}
        logs = {name: _log(fleet, name) for name in HONEST}
        found = attack(fleet, out, names, seconds)
        until = time.monotonic()
        peaks = {name: fleet.seen[name].peak_rss(since, until) for name in HONEST}
        grown = max(_log(fleet, name) - logs[name] for name in HONEST)
        for name, said in found:
            campaign.attacks.append(
                Attacked(
                    name,
                    round(until - since, 1),
                    said,
                    fleet.iteration() - first,
                    round(max(s.worst_answer(since, until) for s in fleet.seen.values()), 3),
                    max(peaks.values()) // MEGABYTE,
                    max(0, max(peaks[n] - before[n] for n in HONEST)) // MEGABYTE,
                    int(grown / (until - since)),
                )
            )
            print(json.dumps(asdict(campaign.attacks[-1])), file=sys.stderr, flush=True)
    fleet.wait_for(iterations, PATIENCE)
    _conclude(campaign, fleet, began, time.monotonic())
    return campaign


def _log(fleet: AttackedFleet, name: str) -> int:
    return (fleet.folder.vehicle(name) / "vehicle.log").stat().st_size


def _conclude(campaign: Campaign, fleet: AttackedFleet, began: float, ended: float) -> None:
    seen = fleet.seen
    campaign.seconds = round(ended - began, 1)
    campaign.iterations = fleet.iteration()
    campaign.longest_pause = round(max(s.longest_pause(began, ended) for s in seen.values()), 1)
    campaign.worst_answer = round(max(s.worst_answer(began, ended) for s in seen.values()), 3)
    campaign.ended = [
        n for n in HONEST if seen[n].ended or fleet.runtime.children[n].poll() is not None
    ]
    for name, watched in seen.items():
        samples = watched.between(began, ended)
        campaign.peak_rss_mb[name] = watched.peak_rss() // MEGABYTE
        campaign.disk_mb[name] = samples[-1].disk // MEGABYTE
        campaign.samples[name] = samples[-1].samples
        grown = (samples[-1].log - samples[0].log) / (ended - began)
        campaign.log_bytes_per_s = max(campaign.log_bytes_per_s, int(grown))


def measure_accuracy(folder: FleetFolder, test_set: Path) -> float:
    """The mean of the last models of the first vehicle's chain, which verifies; all have ended.

    An update that comes late in one iteration leads to other models, no worse and no better.
    """
    vehicle, genesis = folder.vehicle(HONEST[0]), load_genesis(folder.genesis)
    problem = outcome_of(vehicle, genesis).problem
    assert problem is None, problem
    with closing(ChainStore(VehicleFolders(vehicle).chain, genesis, read_only=True)) as store:
        infos = [block.body.model_info for block in blocks_of(store)]
    last = [info for info in infos if info is not None][-LAST_MODELS:]

    def read(_: str, cid: str) -> bytes:
        return read_model(cid, vehicle, genesis)

    architecture = TaskDescription().architecture
    with closing(Evaluator(read, test_set, architecture, "cpu")) as evaluator:
        for info in last:
            evaluator.evaluate(info.current_iter, HONEST[0], info.global_cid)
        evaluator.wait(PATIENCE)
        assert not evaluator.errors, evaluator.errors
        return round(statistics.mean(evaluator.accuracy.values()), 4)


@dataclass
class Outcome:
    """Three runs with the same seeds and as many iterations."""

    strangers: Campaign
    """Three members, attacked by strangers."""
    member: Campaign
    """The same and a fourth, whose key the attackers have, and who does nothing else."""
    peaceful: Campaign
    """Three members in peace."""


def attack_fleets(
    strangers: Sequence[Sequence[str]],
    member: Sequence[Sequence[str]],
    seconds: float,
    out: Path,
) -> Outcome:
    """Run all three; each group of strangers together for so many seconds.

    A member's take twice as long: its updates count in the iteration after the next.
    """
    groups = max(len(strangers), len(member))
    iterations = 2 + math.ceil(groups * (seconds + 3) / ITERATION_SECONDS)
    bags = make_bags(out / "bags")

    def run(name: str, groups: Sequence[Sequence[str]], with_liar: bool) -> Campaign:
        folder = out / name
        with attacked_fleet(folder, bags, iterations, with_liar) as fleet, fleet.watching():
            campaign = run_attacks(fleet, groups, (1 + with_liar) * seconds, out, iterations)
        campaign.accuracy = measure_accuracy(fleet.folder, bags / "test")
        return campaign

    with ros_environment() as (environment, _):
        # Not only the vehicles': this process asks them as their owners.
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            return Outcome(
                run("strangers", strangers, with_liar=False),
                run("member", member, with_liar=True),
                run("peaceful", (), with_liar=False),
            )
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack")
    parser.add_argument("--only", nargs="*", default=list(ATTACKS), choices=list(ATTACKS))
    parser.add_argument("--out", type=Path, help="an empty folder; without it a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        strangers = [[name] for name in arguments.only if name not in BY_MEMBER]
        member = [[name] for name in arguments.only if name in BY_MEMBER]
        outcome = attack_fleets(strangers, member, arguments.seconds, out)
    print(json.dumps(asdict(outcome), indent=2))


if __name__ == "__main__":
    main()
