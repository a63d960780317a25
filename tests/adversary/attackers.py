"""Attackers as processes beside a fleet, several at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from adversary.fleet import HONEST, LIAR, AttackedFleet
from adversary.stranger import Target
from bift_ros.fleet.runtimes.folder import key_file

ATTACK_GRACE = 240.0
"""Seconds that an attacker may take beside its attack, on a busy machine."""


class Attackers:
    """Several that attack at the same time, each a process that waits for its turn."""

    def __init__(
        self, fleet: AttackedFleet, out: Path, names: Sequence[str], seconds: float
    ) -> None:
        target = Target(
            HONEST,
            str(fleet.folder.genesis),
            str(key_file(fleet.folder.vehicle(LIAR))),  # where the fleet has such a member
            tuple(_gateways(fleet)),
        )
        target.write(out / "target.json")
        self.names, self._out, self._seconds = names, out, seconds
        self._attackers: dict[str, subprocess.Popen[str]] = {}
        for name in names:
            program = Path(__file__).with_name("attack.py")
            with (out / f"{name}.log").open("wb") as log:
                self._attackers[name] = subprocess.Popen(
                    [sys.executable, program, name, str(seconds), out / "target.json"],
                    env={**os.environ, **fleet.environment},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )

    def attack(self) -> dict[str, dict[str, Any]]:
        """Let them; what each says of it."""
        for attacker in self._attackers.values():
            assert attacker.stdin is not None
            with suppress(BrokenPipeError):  # it has failed, and its log says why
                print(file=attacker.stdin, flush=True)
        found: dict[str, dict[str, Any]] = {}
        for name, attacker in self._attackers.items():
            printed, _ = attacker.communicate(timeout=self._seconds + ATTACK_GRACE)
            if attacker.returncode == 0:
                found[name] = json.loads(printed)
            else:
                found[name] = {"failed": (self._out / f"{name}.log").read_text()[-2000:]}
        return found

    def close(self) -> None:
        """End those that still run."""
        for attacker in self._attackers.values():
            attacker.kill()
            attacker.communicate()


def _gateways(fleet: AttackedFleet) -> list[str]:
    """As the vehicles say when they start."""
    found = []
    for name in HONEST:
        log = (fleet.folder.vehicle(name) / "vehicle.log").read_text()
        found.append(log.partition("serves its files at ")[2].split()[0])
    return found
