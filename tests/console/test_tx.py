"""`bift tx`: whom a person means, and what became of a transaction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the command needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.console.errors import CommandError
from bift_ros.console.tx import find_recipient
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.keystore import Keystore
from bift_ros.nodes.client.vehicle_client import MemberState

CAR, BUS, VAN = (KeyPair.from_seed(bytes([n]) * 32) for n in range(3))
MEMBERS = (
    MemberState("car", CAR.address, 20, active=True),
    MemberState("bus", BUS.address, 0, active=True),
    MemberState("gone", VAN.address, 3, active=False),
)


@pytest.fixture
def keystore(tmp_path: Path) -> Keystore:
    keystore = Keystore(tmp_path / "keys")
    keystore.prepare()
    return keystore


def test_a_member_an_address_and_an_account_are_found(keystore: Keystore) -> None:
    save_key(keystore.file("mine"), VAN, b"secret")
    assert find_recipient("car", MEMBERS, keystore) == CAR.address
    assert find_recipient(BUS.address, MEMBERS, keystore) == BUS.address
    assert find_recipient("mine", MEMBERS, keystore) == VAN.address
    with pytest.raises(CommandError, match=r"nobody is called 'gone'.*\(car, bus\)"):
        find_recipient("gone", MEMBERS, keystore)


def test_a_name_that_means_two_is_refused(keystore: Keystore) -> None:
    save_key(keystore.file("car"), CAR, None)
    assert find_recipient("car", MEMBERS, keystore) == CAR.address  # both are the same
    save_key(keystore.file("bus"), VAN, None)
    with pytest.raises(CommandError, match="give the address") as refused:
        find_recipient("bus", MEMBERS, keystore)
    assert BUS.address in str(refused.value)
    assert VAN.address in str(refused.value)


def test_a_transaction_of_a_block_is_shown(bift: Any, built_chain: Any) -> None:
    block = json.loads(bift("chain", "show", 2, "--data", built_chain.data, "--json").out)
    first = block["transactions"][0]
    result = bift("tx", "show", first["id"], "--data", built_chain.data, "--json")
    assert result.code == 0, result.err
    shown = json.loads(result.out)
    assert shown == {
        **first, "state": "included", "block": 2, "block_hash": block["hash"],
        "time": block["time"], "blocks_above": 1,
    }  # fmt: skip
    assert shown["kind"] == "model_update"
    assert shown["payload"]["cid"] == built_chain.update_cids[0][0]
    plain = bift("tx", "show", first["id"], "--data", built_chain.data)
    assert "on the chain: block 2" in plain.out
    assert "updates lights, iteration 1" in plain.out


def test_an_unknown_transaction_is_said(bift: Any, built_chain: Any) -> None:
    result = bift("tx", "show", "ab" * 32, "--data", built_chain.data, "--json")
    assert result.code == 1
    assert json.loads(result.out) == {"id": "ab" * 32, "state": "unknown"}
    assert "in none of 3 blocks" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "12"), "64 lower-case hex digits"),
        (("show", "x" * 64), "64 lower-case hex digits"),
        (("transfer", "car", "0"), "not at least 1"),
        (("transfer", "car", "much"), "much"),
        (("transfer", "car", "1", "--vehicle", "/"), "no vehicle's name"),
        (("transfer", "car", "1", "--wait", "-1"), "not more than 0"),
        (("transfer", "car", "1", "--key", "nobody"), "no account nobody"),
        (("transfer", "car", "1"), "whose key? --key takes an account"),
    ],
)
def test_what_is_no_transaction_is_said(
    bift: Any, keystore: Keystore, words: tuple[str, ...], said: str
) -> None:
    options = ("--keystore", keystore.folder) if words[0] == "transfer" else ()
    result = bift("tx", *words, *options)
    assert result.code == 2
    assert said in result.err
