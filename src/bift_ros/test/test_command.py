"""The package by itself: its command runs, and a fleet in virtual time agrees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def bift(*arguments: str | Path) -> str:
    """What the command prints."""
    return subprocess.run(
        [sys.executable, "-m", "bift_ros.console", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout


def test_the_command_says_what_it_can_do() -> None:
    shown = bift("--help")
    assert all(name in shown for name in ("node", "miner", "chain", "fleet", "monitor"))


def test_a_fleet_in_virtual_time_agrees_and_replays() -> None:
    fleet = ("simulate", "--vehicles", "5", "--iterations", "1")
    summary = json.loads(bift(*fleet, "--seeds", "2", "--json"))
    assert (summary["completed"], summary["violations"]) == (2, 0)
    assert bift(*fleet, "--replay", "1") == bift(*fleet, "--replay", "1")


def test_keys_make_a_genesis(tmp_path: Path) -> None:
    members = []
    for name in ("ada", "bob"):
        key = tmp_path / f"{name}.pem"
        made = json.loads(bift("account", "create", key, "--no-passphrase", "--json"))
        members += ["--member", f"{name}={made['public_key']}"]
    bift("genesis", "create", tmp_path / "genesis.json", *members)
    assert "ada" in (tmp_path / "genesis.json").read_text()
