"""`bift storage kubo`: a daemon from its making to its end, and what a person gets wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bift_ros.storage.kubo.daemon import KuboDaemon

pytestmark = pytest.mark.kubo


@pytest.fixture
def repository(tmp_path: Path, ipfs: str) -> Iterator[Path]:
    yield tmp_path / "car" / "kubo"
    KuboDaemon(tmp_path / "car" / "kubo").stop()


def test_a_daemon_from_its_making_to_its_end(bift: Any, repository: Path) -> None:
    where = ("--data", repository.parent)
    made = bift("storage", "kubo", "init", *where, "--storage-mb", 100)
    assert made.code == 0, made.err
    assert str(repository / "swarm.key") in made.out
    assert bift("storage", "kubo", "status", *where).code == 1
    started = bift("storage", "kubo", "start", *where, "--json")
    assert started.code == 0, started.err
    state = json.loads(started.out)
    assert state["running"]
    assert state["storage_max_bytes"] == 100 << 20
    shown = bift("storage", "kubo", "status", "--repo", repository)
    assert shown.code == 0
    for text in (f"process {state['pid']}", state["swarm_address"], state["api"], "of 100 MiB"):
        assert text in shown.out
    os.kill(state["pid"], 0)
    again = bift("storage", "kubo", "init", *where)
    assert again.code == 2
    assert "storage kubo stop" in again.err
    stopped = bift("storage", "kubo", "stop", *where, "--json")
    assert stopped.code == 0
    assert not json.loads(stopped.out)["running"]
    assert bift("storage", "kubo", "stop", *where).code == 0


def test_two_daemons_meet_by_address(bift: Any, repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "bus"
    bift("storage", "kubo", "init", "--repo", repository)
    first = json.loads(bift("storage", "kubo", "start", "--repo", repository, "--json").out)
    key = ("--swarm-key", repository / "swarm.key")
    bift("storage", "kubo", "init", "--repo", other, *key, "--peer", first["swarm_address"])
    try:
        second = json.loads(bift("storage", "kubo", "start", "--repo", other, "--json").out)
        assert second["peers"] == [first["swarm_address"]]
    finally:
        bift("storage", "kubo", "stop", "--repo", other)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start",), "storage kubo init"),
        (("status",), "storage kubo init"),
        (("init", "--host", "car.local"), "IP address"),
        (("init", "--swarm-port", "70000"), "65535"),
        (("init", "--peer", "192.168.0.7"), "is no peer's address"),
        (("init", "--swarm-key", "absent.key"), "absent.key"),
    ],
)
def test_what_is_wrong_is_said(
    bift: Any, repository: Path, arguments: tuple[str, ...], said: str
) -> None:
    action, *options = arguments
    done = bift("storage", "kubo", action, "--repo", repository, *options)
    assert done.code == 2
    assert said in done.err


def test_without_kubo_the_error_says_how_to_get_it(
    bift: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = bift("storage", "kubo", "init", "--repo", tmp_path / "repo")
    assert done.code == 2
    assert "make kubo" in done.err
