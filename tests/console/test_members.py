"""`bift member`: who is in the consortium, and what keeps a vote from being made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the command needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.identity.keys import KeyPair

BUS = KeyPair.from_seed(bytes(32))


def test_the_members_and_open_votes_are_listed(bift: Any, voting_chain: Any) -> None:
    result = bift("member", "list", "--data", voting_chain.data, "--json")
    assert result.code == 0, result.err
    listed = json.loads(result.out)
    assert listed["height"] == 3
    names = [member["name"] for member in listed["members"]]
    assert names == ["vehicle_00", "vehicle_01", "vehicle_02", "bus"]
    assert listed["members"][-1] == {
        "name": "bus", "address": BUS.address, "public_key": BUS.public_key.hex(), "stake": 0,
    }  # fmt: skip
    (ballot,) = listed["ballots"]
    third = voting_chain.genesis.members[2]
    assert ballot == {
        "action": "leave", "name": "vehicle_02", "public_key": third.public_key.hex(),
        "voters": ["vehicle_01"],
    }  # fmt: skip


def test_the_list_reads_well(bift: Any, voting_chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = bift("member", "list", "--data", voting_chain.data)
    assert result.code == 0, result.err
    assert "at block 3" in result.out
    assert BUS.address in result.out
    (line,) = (line for line in result.out.splitlines() if "1/4" in line)
    assert "vehicle_02" in line
    assert "leave" in line


def test_a_fleet_without_votes_lists_its_genesis(bift: Any, built_chain: Any) -> None:
    listed = json.loads(bift("member", "list", "--data", built_chain.data, "--json").out)
    assert len(listed["members"]) == 3
    assert listed["ballots"] == []
    assert sum(member["stake"] for member in listed["members"]) > 0
    assert "not decided" not in bift("member", "list", "--data", built_chain.data).out


def test_votes_show_in_the_chain(bift: Any, voting_chain: Any) -> None:
    result = bift("chain", "show", "--data", voting_chain.data)
    assert result.code == 0, result.err
    assert result.out.count("1 vote") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("expel", "bus", BUS.public_key.hex()), "expel"),
        (("join", "my bus", BUS.public_key.hex()), "no vehicle's name"),
        (("join", "bus", "12"), "no public key"),
        (("join", "bus", "x" * 64), "no public key"),
        (("join", "bus", BUS.public_key.hex(), "--vehicle", "/"), "no vehicle's name"),
        (("join", "bus", BUS.public_key.hex()), "can't read the key file"),
    ],
    ids=["change", "name", "short key", "no hex", "vehicle", "key file"],
)
def test_what_makes_no_vote_is_said(
    bift: Any, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = bift("member", "vote", *words, "--key", tmp_path / "none.pem")
    assert result.code == 2
    assert said in result.err


def test_no_chain_is_said(bift: Any, tmp_path: Path) -> None:
    result = bift("member", "list", "--data", tmp_path)
    assert result.code == 2
    assert "holds no chain" in result.err
