"""The genesis and its file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bift_ros.consensus.exceptions import FieldError, GenesisError
from bift_ros.consensus.genesis import Member, Policy, load_genesis, save_genesis
from bift_ros.consensus.state import initial_state
from world.edwards import UNSOUND_KEYS


def test_file_round_trip(fleet: Any, tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    save_genesis(path, fleet.genesis)
    again = load_genesis(path)
    assert again == fleet.genesis
    assert again.hash == fleet.genesis.hash
    # Layout and key order are the writer's own; the hash is of the content.
    document = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(list(document.items())))))
    assert load_genesis(path).hash == fleet.genesis.hash


def test_every_field_changes_the_hash(fleet: Any) -> None:
    genesis = fleet.genesis
    policy = genesis.policy
    variants = [
        replace(genesis, name="other"),
        replace(genesis, timestamp=genesis.timestamp + 1),
        replace(genesis, members=genesis.members[:-1]),
        replace(genesis, members=genesis.members[::-1]),
        *(
            replace(genesis, policy=replace(policy, **{name: value}))
            for name, value in {
                "difficulty": 9,
                "update_wait_ms": 1,
                "minimum_updates": 3,
                "byzantine_fraction": 0.1,
                "reward": 21,
                "rule": "krum",
                "max_clock_skew_ms": 1,
                "max_omitted_fraction": 0.5,
            }.items()
        ),
    ]
    assert len({genesis.hash, *(variant.hash for variant in variants)}) == len(variants) + 1


def test_members_are_found_by_address(fleet: Any) -> None:
    assert fleet.genesis.member(fleet.address(2)).name == "vehicle2"
    assert fleet.genesis.member("00" * 20) is None
    state = initial_state(fleet.genesis)
    assert (state.height, state.tip_hash) == (0, fleet.genesis.hash)
    assert set(state.balances) == set(fleet.genesis.addresses)


def test_the_byzantine_count_is_exact() -> None:
    assert Policy(byzantine_fraction=0.3).byzantine_among(10) == 3
    assert Policy(byzantine_fraction=0.3).byzantine_among(9) == 2
    assert int(0.29 * 100) == 28  # what floats would say
    assert Policy(byzantine_fraction=0.29).byzantine_among(100) == 29
    assert Policy(byzantine_fraction=0.0).byzantine_among(30) == 0


def test_a_genesis_must_make_sense(fleet: Any) -> None:
    genesis = fleet.genesis
    twin = Member("twin", genesis.members[0].public_key)
    with pytest.raises(FieldError, match="same public_key"):
        replace(genesis, members=(*genesis.members, twin))
    with pytest.raises(FieldError, match="same name"):
        replace(genesis, members=(*genesis.members, Member("vehicle0", bytes(32))))
    with pytest.raises(FieldError, match="minimum_updates: 6 can't come from 5"):
        replace(genesis, policy=Policy(minimum_updates=6))
    with pytest.raises(FieldError, match="members"):
        replace(genesis, members=())


@pytest.mark.parametrize("key", UNSOUND_KEYS.values(), ids=UNSOUND_KEYS)
def test_a_key_under_which_libraries_differ_is_refused(fleet: Any, key: bytes) -> None:
    members = (*fleet.genesis.members, Member("odd", key))
    with pytest.raises(FieldError, match="odd's public_key is no sound Ed25519 key"):
        replace(fleet.genesis, members=members)


def set_in(document: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split("/")
    place: Any = document
    for folder in folders:
        place = place[int(folder) if isinstance(place, list) else folder]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("policy/rule", "best", "rule: 'best' is not one of"),
        ("policy/mode", "fast", "mode: 'fast' is not one of"),
        ("policy/difficulty", "16", "difficulty: '16' is not an integer"),
        ("policy/byzantine_fraction", 0.6, "byzantine_fraction: 0.6"),
        ("policy/speed", 1, "policy: unknown speed"),
        ("policy/encrypt_models", 1, "encrypt_models: 1 is not true or false"),
        ("members", {}, "members: not a list"),
        ("members/1/public_key", "zz", r"members\[1\]: public_key is not 64 hex digits"),
        ("members/1/public_key", "ab", r"members\[1\]: public_key: not a byte string of 32"),
        ("members/1/public_key", 5, r"members\[1\]: public_key is not 64 hex digits"),
        ("members/0/name", "a b", r"members\[0\]: name: 'a b'"),
        ("timestamp", 1.5, "timestamp: 1.5 is not an integer"),
        ("policy", None, "policy: not a JSON object"),
        ("motto", "drive", "the file: unknown motto"),
    ],
)
def test_a_wrong_file_names_the_field(
    fleet: Any, tmp_path: Path, path: str, value: Any, message: str
) -> None:
    file = tmp_path / "genesis.json"
    save_genesis(file, fleet.genesis)
    document = json.loads(file.read_text())
    set_in(document, path, value)
    file.write_text(json.dumps(document))
    with pytest.raises(GenesisError, match=rf"genesis\.json is wrong: {message}"):
        load_genesis(file)


def test_files_that_are_no_genesis(fleet: Any, tmp_path: Path) -> None:
    with pytest.raises(GenesisError, match="No such file"):
        load_genesis(tmp_path / "missing.json")
    file = tmp_path / "genesis.json"
    for content in ("", "{", "[" * 100_000, '{"name": "x"}', "[]"):
        file.write_text(content)
        with pytest.raises(GenesisError, match=r"genesis\.json"):
            load_genesis(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(GenesisError, match="not JSON"):
        load_genesis(file)


@pytest.mark.parametrize("name", ["byzantine_fraction", "max_omitted_fraction"])
def test_a_number_too_large_for_a_float_is_refused(fleet: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "genesis.json"
    save_genesis(path, fleet.genesis)
    document = json.loads(path.read_text())
    document["policy"][name] = 10**400
    path.write_text(json.dumps(document))
    with pytest.raises(GenesisError, match=name):
        load_genesis(path)


def test_a_strange_file_is_refused_in_few_words(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps({"x" * 100_000: 1}))
    with pytest.raises(GenesisError) as caught:
        load_genesis(path)
    assert len(str(caught.value)) < 500


def test_a_policy_may_be_left_to_its_defaults(fleet: Any, tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    save_genesis(file, fleet.genesis)
    document = json.loads(file.read_text())
    document["policy"] = {"byzantine_fraction": 0}
    file.write_text(json.dumps(document))
    assert load_genesis(file).policy == Policy(byzantine_fraction=0.0)
