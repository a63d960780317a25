"""`bift account` and `bift genesis`: keys and members, and what a person gets wrong."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from bift_ros.consensus.genesis import load_genesis
from bift_ros.identity.keyfile import load_key


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text("correct horse\n")
    return path


def make_member(bift: Any, path: Path, name: str) -> str:
    made = bift("account", "create", path, "--no-passphrase", "--json")
    assert made.code == 0, made.err
    return f"{name}={json.loads(made.out)['public_key']}"


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_key_is_made_and_shown(
    bift: Any, tmp_path: Path, passphrase: Path, encrypted: bool
) -> None:
    path = tmp_path / "car.pem"
    how = ["--passphrase-file", passphrase] if encrypted else ["--no-passphrase"]
    made = bift("account", "create", path, *how, "--json")
    assert made.code == 0, made.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (b"ENCRYPTED" in path.read_bytes()) is encrypted
    shown = bift("account", "show", path, *how, "--json")
    assert json.loads(shown.out) == json.loads(made.out)
    key = load_key(path, b"correct horse" if encrypted else None)
    assert json.loads(shown.out)["address"] == key.address
    plain = bift("account", "show", path, *how)
    assert key.address in plain.out
    assert key.public_key.hex() in plain.out


def test_a_key_is_never_overwritten(bift: Any, tmp_path: Path) -> None:
    path = tmp_path / "car.pem"
    bift("account", "create", path, "--no-passphrase")
    before = path.read_bytes()
    again = bift("account", "create", path, "--no-passphrase")
    assert again.code == 2
    assert "exists" in again.err
    assert path.read_bytes() == before


def test_a_wrong_passphrase_is_said(bift: Any, tmp_path: Path, passphrase: Path) -> None:
    path = tmp_path / "car.pem"
    bift("account", "create", path, "--passphrase-file", passphrase)
    passphrase.write_text("battery staple\n")
    result = bift("account", "show", path, "--passphrase-file", passphrase)
    assert result.code == 2
    assert "passphrase is wrong" in result.err
    unencrypted = bift("account", "show", path, "--no-passphrase")
    assert unencrypted.code == 2
    assert "is encrypted" in unencrypted.err


def test_an_empty_passphrase_file_makes_no_unprotected_key(
    bift: Any, tmp_path: Path, passphrase: Path
) -> None:
    passphrase.write_text("\n")
    path = tmp_path / "car.pem"
    result = bift("account", "create", path, "--passphrase-file", passphrase)
    assert result.code == 2
    assert "--no-passphrase" in result.err
    assert not path.exists()


def test_a_passphrase_file_and_none_at_once_is_refused(
    bift: Any, tmp_path: Path, passphrase: Path
) -> None:
    path = tmp_path / "car.pem"
    result = bift("account", "create", path, "--passphrase-file", passphrase, "--no-passphrase")
    assert result.code == 2
    assert not path.exists()


def test_without_a_terminal_nobody_is_asked(
    bift: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "empty").open("w+") as file:
        monkeypatch.setattr("sys.stdin", file)
        result = bift("account", "create", tmp_path / "car.pem")
    assert result.code == 2
    assert "--passphrase-file" in result.err


@pytest.mark.parametrize(
    ("answers", "said"),
    [(["one", "two"], "differ"), (["", ""], "--no-passphrase"), (["one", "one"], None)],
)
def test_a_person_is_asked_twice(
    bift: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[str], said: str | None
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: answers.pop(0))
    path = tmp_path / "car.pem"
    result = bift("account", "create", path)
    assert result.code == (2 if said else 0)
    if said:
        assert said in result.err
        assert not path.exists()
    else:
        assert load_key(path, b"one")


def test_missing_files_are_named(bift: Any, tmp_path: Path) -> None:
    key = tmp_path / "no.pem"
    result = bift("account", "show", key, "--no-passphrase")
    assert result.code == 2
    assert str(key) in result.err
    result = bift("account", "create", key, "--passphrase-file", tmp_path / "none")
    assert result.code == 2
    assert str(tmp_path / "none") in result.err


def test_accounts_are_kept_and_listed(bift: Any, tmp_path: Path, passphrase: Path) -> None:
    keystore = ("--keystore", tmp_path / "keys")
    nobody = bift("account", "list", *keystore)
    assert (nobody.code, nobody.out) == (0, "")
    assert "account create NAME" in nobody.err
    made = bift("account", "create", "car", *keystore, "--passphrase-file", passphrase, "--json")
    assert made.code == 0, made.err
    car = json.loads(made.out)
    file = tmp_path / "keys" / "car.pem"
    assert car["file"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    bift("account", "create", "bus", *keystore, "--no-passphrase")
    # Nobody is asked: there is no terminal here.
    bus, listed = json.loads(bift("account", "list", *keystore, "--json").out)
    assert (bus["name"], listed) == ("bus", {"name": "car", **car})
    assert car["address"] in bift("account", "list", *keystore).out
    assert json.loads(bift("account", "show", "car", *keystore, "--json").out) == car
    assert json.loads(bift("account", "show", file, "--json").out) == car
    again = bift("account", "create", "car", *keystore, "--no-passphrase")
    assert again.code == 2
    assert "exists" in again.err
    unknown = bift("account", "show", "van", *keystore)
    assert unknown.code == 2
    assert "no account van" in unknown.err


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--with-defend",), "robust"),
        (("--no-defend",), "fedavg"),
        (("--mode", "paper", "--with-defend"), "mixed_paper"),
        (("--mode", "paper", "--no-defend"), "fedavg"),
    ],
)
def test_a_fleet_has_a_defence_or_none(
    bift: Any, tmp_path: Path, options: tuple[str, ...], rule: str
) -> None:
    member = make_member(bift, tmp_path / "key.pem", "car")
    path = tmp_path / "genesis.json"
    made = bift(
        "genesis", "create", path, "--member", member, "--minimum-updates", 1, *options, "--json"
    )
    assert made.code == 0, made.err
    assert load_genesis(path).policy.rule == json.loads(made.out)["rule"] == rule


def test_a_genesis_is_written(bift: Any, tmp_path: Path) -> None:
    members = [make_member(bift, tmp_path / f"{n}.pem", f"car_{n}") for n in range(2)]
    path = tmp_path / "genesis.json"
    result = bift(
        "genesis", "create", path, "--member", members[0], "--member", members[1],
        "--difficulty", 8, "--update-wait", 1.5, "--reward", 7, "--rule", "krum",
        "--byzantine-fraction", 0.25, "--name", "my-fleet", "--encrypt-models",
    )  # fmt: skip
    assert result.code == 0, result.err
    genesis = load_genesis(path)
    assert genesis.hash.hex() in result.out
    assert [m.name for m in genesis.members] == ["car_0", "car_1"]
    assert genesis.member(load_key(tmp_path / "1.pem", None).address) == genesis.members[1]
    policy = genesis.policy
    assert (policy.difficulty, policy.update_wait_ms, policy.reward) == (8, 1500, 7)
    assert (policy.rule, policy.byzantine_fraction) == ("krum", 0.25)
    assert policy.encrypt_models is True
    again = bift("genesis", "create", path, "--member", members[0])
    assert again.code == 2
    assert "exists" in again.err


@pytest.mark.parametrize(
    ("options", "mode", "rule"),
    [
        ((), "bift", "robust"),
        (("--mode", "bift"), "bift", "robust"),
        (("--mode", "paper"), "paper", "mixed_paper"),
        (("--mode", "paper", "--rule", "krum"), "paper", "krum"),
        (("--rule", "mixed_paper"), "bift", "mixed_paper"),
    ],
)
def test_a_consensus_mode_has_its_rule(
    bift: Any, tmp_path: Path, options: tuple[str, ...], mode: str, rule: str
) -> None:
    member = make_member(bift, tmp_path / "key.pem", "car")
    path = tmp_path / "genesis.json"
    result = bift("genesis", "create", path, "--member", member, "--minimum-updates", 1, *options)
    assert result.code == 0, result.err
    policy = load_genesis(path).policy
    assert (policy.mode, policy.rule) == (mode, rule)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--member", "car=xyz"], "not hex"),
        (["--member", "car"], "car"),
        (["--member", "car=00ff"], "public_key"),
        (["--member", "KEY", "--member", "KEY"], "two have the same"),
        (["--member", "my-car=HEX"], "my-car"),
        (["--member", "1car=HEX"], "1car"),
        (["--member", "my.car=HEX"], "my.car"),
        (["--member", "KEY", "--minimum-updates", "3"], "minimum_updates"),
        (["--member", "KEY", "--difficulty", "-1"], "difficulty"),
        (["--member", "KEY", "--update-wait", "-1"], "update-wait"),
        (["--member", "KEY", "--update-wait", "nan"], "update-wait"),
        (["--member", "KEY", "--update-wait", "inf"], "update-wait"),
        (["--member", "KEY", "--byzantine-fraction", "0.7"], "byzantine_fraction"),
        (["--member", "KEY", "--name", "a b"], "name"),
    ],
)
def test_what_makes_no_genesis_is_said(
    bift: Any, tmp_path: Path, options: list[str], said: str
) -> None:
    member = make_member(bift, tmp_path / "car.pem", "car")
    hex_digits = member.partition("=")[2]
    options = [o.replace("KEY", member).replace("HEX", hex_digits) for o in options]
    path = tmp_path / "genesis.json"
    result = bift("genesis", "create", path, *options)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert not path.exists()
