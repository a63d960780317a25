"""Fleets of one host stay out of each other's ROS domains."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from bift_ros.fleet.runtimes import domain
from bift_ros.fleet.runtimes.domain import (
    claimed_domain,
    discovery_port,
    ros_environment,
)
from bift_ros.fleet.runtimes.runtime import FleetError


def test_fleets_get_domains_of_their_own() -> None:
    with ExitStack() as stack:
        claimed = [stack.enter_context(claimed_domain())[0] for _ in range(20)]
    assert len(set(claimed)) == 20


@pytest.mark.parametrize("taken", ["link", "open"])
def test_a_folder_of_claims_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """Another user has made it, or a link to where files are to be emptied."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder, elsewhere = tmp_path / f"bift-domains-{os.geteuid()}", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if taken == "link":
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(FleetError, match="set TMPDIR"), claimed_domain():
        pass
    assert not list(elsewhere.iterdir())


def test_a_link_among_the_claims_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with claimed_domain() as (number, _):
        pass
    claim = tmp_path / f"bift-domains-{os.geteuid()}" / str(number)
    claim.unlink()
    claim.symlink_to(victim)
    monkeypatch.setattr(domain, "_DOMAINS", range(number, number + 1))
    with pytest.raises(FleetError, match="no ROS domain can be claimed"), claimed_domain():
        pass
    assert victim.read_text() == "precious"


def test_a_domain_in_use_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with claimed_domain() as (free, _):
        pass
    monkeypatch.setattr(domain, "_DOMAINS", range(free, free + 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("", discovery_port(free)))
        with pytest.raises(FleetError, match="ROS_DOMAIN_ID"), claimed_domain():
            pass
    with claimed_domain() as (again, _):
        assert again == free


def test_a_domain_stays_claimed_while_who_inherited_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    with ros_environment() as (environment, descriptors):
        heir = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=descriptors
        )
    number = int(environment["ROS_DOMAIN_ID"])
    monkeypatch.setattr(domain, "_DOMAINS", range(number, number + 1))
    try:
        with pytest.raises(FleetError), claimed_domain():
            pass
    finally:
        heir.communicate(b"\n", timeout=30)
    with claimed_domain() as (again, _):
        assert again == number
