"""`bift security`: keystores out of a genesis and what becomes of them; vehicles with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bift_ros.consensus.genesis import Genesis, Member, Policy, save_genesis
from bift_ros.console import vehicle_process
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.security.documents import granted
from bift_ros.security.rights import vehicle_enclave

KEYS = {name: KeyPair.from_seed(bytes([number] * 32)) for number, name in enumerate(("car", "bus"))}


@pytest.fixture
def genesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID"):
        monkeypatch.delenv(variable, raising=False)
    members = tuple(Member(name, key.public_key) for name, key in KEYS.items())
    file = tmp_path / "genesis.json"
    save_genesis(file, Genesis("town", 1, members, Policy(minimum_updates=1)))
    return file


@pytest.fixture
def keystore(bift: Any, genesis: Path) -> Path:
    folder = genesis.parent / "security"
    made = bift("security", "create", genesis, "--out", folder, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out) == {
        "keystore": str(folder),
        "domain": 0,
        "fleet_domain": 1,
        "enclaves": ["/observer", "/vehicles/bus", "/vehicles/car"],
    }
    return folder


def test_every_member_gets_an_enclave(keystore: Path) -> None:
    document = (keystore / "enclaves" / "vehicles" / "car" / "permissions.xml").read_bytes()
    car = vehicle_enclave("car")
    assert granted(document) == {0: car.own, 1: car.fleet}


def test_it_says_what_to_do_with_it(bift: Any, genesis: Path) -> None:
    folder = genesis.parent / "other"
    made = bift("security", "create", genesis, "--out", folder, "--domain", "7")
    assert made.code == 0, made.err
    assert "the ROS domains 7 and 8" in made.out
    assert f"export ROS_SECURITY_KEYSTORE={folder}" in made.out
    assert "export ROS_SECURITY_ENCLAVE_OVERRIDE=/observer" in made.out


def test_domains_are_those_of_the_buses(
    bift: Any, genesis: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "40")
    monkeypatch.setenv("BIFT_FLEET_DOMAIN_ID", "60")
    made = bift("security", "create", genesis, "--out", genesis.parent / "a", "--json")
    assert (json.loads(made.out)["domain"], json.loads(made.out)["fleet_domain"]) == (40, 60)
    same = ("--domain", "3", "--fleet-domain", "3", "--out", genesis.parent / "b")
    refused = bift("security", "create", genesis, *same)
    assert refused.code == 2
    assert "must not be the car's own" in refused.err
    assert not (genesis.parent / "b").exists()


def test_a_topic_by_another_name(bift: Any, genesis: Path) -> None:
    folder = genesis.parent / "security"
    bift("security", "create", genesis, "--out", folder, "--topic", "/front/image")
    document = (folder / "enclaves" / "vehicles" / "bus" / "permissions.xml").read_bytes()
    assert "rt/front/image" in granted(document)[0].subscribe


def test_a_keystore_is_never_overwritten(bift: Any, genesis: Path, keystore: Path) -> None:
    before = {path: path.read_bytes() for path in keystore.rglob("*.pem")}
    again = bift("security", "create", genesis, "--out", keystore)
    assert again.code == 2
    assert "exists already" in again.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_vehicle_joins_is_renewed_and_revoked(bift: Any, keystore: Path) -> None:
    added = bift("security", "add", keystore, "van", "--json")
    assert added.code == 0, added.err
    assert "/vehicles/van" in json.loads(added.out)["enclaves"]
    before = (keystore / "enclaves" / "vehicles" / "van" / "cert.pem").read_bytes()
    assert bift("security", "renew", keystore, "--days", "20").code == 0
    assert (keystore / "enclaves" / "vehicles" / "van" / "cert.pem").read_bytes() != before
    revoked = bift("security", "revoke", keystore, "van")
    assert revoked.code == 0, revoked.err
    assert "van is revoked" in revoked.out
    assert (keystore / "enclaves" / "vehicles" / "car" / "crl.pem").exists()
    again = bift("security", "revoke", keystore, "lorry")
    assert again.code == 2
    assert "lorry has no enclave" in again.err


def test_what_is_no_keystore_is_said(bift: Any, tmp_path: Path) -> None:
    for action in (("add", tmp_path, "van"), ("renew", tmp_path), ("revoke", tmp_path, "van")):
        refused = bift("security", *action)
        assert refused.code == 2
        assert f"{tmp_path} is no keystore" in refused.err


class TestVehicle:
    """`bift miner start --security`, up to where it would become the vehicle's process."""

    @pytest.fixture
    def start(self, bift: Any, genesis: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        key = genesis.parent / "car.pem"
        save_key(key, KEYS["car"], None)
        become: list[tuple[list[str], dict[str, str]]] = []
        for variable in ("ENABLE", "STRATEGY", "KEYSTORE"):
            monkeypatch.setenv(f"ROS_SECURITY_{variable}", "")  # what the command sets is undone
        monkeypatch.setenv("ROS_SECURITY_ENCLAVE_OVERRIDE", "/observer")  # as its owner has it
        monkeypatch.setattr(
            vehicle_process.os,
            "execv",
            lambda _, command: become.append((command, dict(vehicle_process.os.environ))),
        )

        def start(keystore: Path) -> tuple[Any, Any]:
            given = ("--genesis", genesis, "--key", key, "--data", genesis.parent / "data")
            result = bift("miner", "start", *given, "--security", keystore)
            return result, become[0] if become else None

        return start

    def test_it_has_its_own_enclave(
        self, start: Any, keystore: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vehicle_process, "refuse_without_security", lambda: None)
        result, became = start(keystore)
        assert result.code == 0, result.err
        command, environment = became
        assert command[command.index("--enclave") + 1] == "/vehicles/car"
        assert environment["ROS_SECURITY_ENABLE"] == "true"
        assert environment["ROS_SECURITY_STRATEGY"] == "Enforce"
        assert environment["ROS_SECURITY_KEYSTORE"] == str(keystore)
        assert environment["ROS_SECURITY_ENCLAVE_OVERRIDE"] == ""

    def test_without_an_enclave_it_does_not_start(self, start: Any, tmp_path: Path) -> None:
        result, became = start(tmp_path / "none")
        assert (result.code, became) == (2, None)
        assert "no enclave of car" in result.err

    def test_where_ros_has_no_security_it_does_not_start(
        self, start: Any, keystore: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> None:
            raise FleetError("ROS here has no DDS security (why)")

        monkeypatch.setattr(vehicle_process, "refuse_without_security", refuse)
        result, became = start(keystore)
        assert (result.code, became) == (2, None)
        assert "no DDS security (why)" in result.err
