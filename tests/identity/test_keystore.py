from __future__ import annotations

import stat
from pathlib import Path

import pytest

from bift_ros.identity.keyfile import (
    KeyFileError,
    is_encrypted,
    load_key,
    load_public_key,
    save_key,
)
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.keystore import Keystore, default_folder, is_account_name

KEY, OTHER = (KeyPair.from_seed(bytes([n]) * 32) for n in range(2))


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_whose_key_it_is_takes_no_passphrase(tmp_path: Path, passphrase: bytes | None) -> None:
    file = tmp_path / "car.pem"
    save_key(file, KEY, passphrase)
    assert load_public_key(file) == KEY.public_key
    assert load_key(file, passphrase) == KEY
    assert is_encrypted(file) is (passphrase is not None)


def test_a_key_file_without_its_public_half_says_what_it_takes(tmp_path: Path) -> None:
    """As other programs write them, and earlier versions did."""
    file = tmp_path / "car.pem"
    save_key(file, KEY, None)
    private, _, _ = file.read_bytes().partition(b"-----BEGIN PUBLIC KEY-----")
    file.write_bytes(private)
    assert load_key(file, None) == KEY
    with pytest.raises(KeyFileError, match="takes the passphrase to tell"):
        load_public_key(file)


@pytest.mark.parametrize("body", [b"", b"AAAA", b"!", b"MCowBQYDK2VwAyEA"])
def test_a_damaged_public_half_is_said(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "car.pem"
    file.write_bytes(b"-----BEGIN PUBLIC KEY-----\n" + body + b"\n-----END PUBLIC KEY-----\n")
    file.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"car\.pem"):
        load_public_key(file)


def test_accounts_are_the_folders_key_files(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path / "data" / "keys")
    assert keystore.accounts() == []
    keystore.prepare()
    assert stat.S_IMODE(keystore.folder.stat().st_mode) == 0o700
    save_key(keystore.file("car"), KEY, b"secret")
    save_key(keystore.file("bus"), OTHER, None)
    (keystore.folder / "notes.txt").write_text("no key")
    assert [(a.name, a.address) for a in keystore.accounts()] == [
        ("bus", OTHER.address), ("car", KEY.address),
    ]  # fmt: skip
    assert keystore.account("car").public_key == KEY.public_key
    with pytest.raises(KeyFileError, match=r"no account van .*there: bus, car.*account create van"):
        keystore.account("van")


def test_a_file_that_others_can_read_is_named(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path)
    save_key(keystore.file("car"), KEY, None)
    keystore.file("car").chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        keystore.accounts()


@pytest.mark.parametrize(
    ("text", "is_name"),
    [("car", True), ("car_0-b", True), ("7", True), ("car.pem", False), ("./car", False),
     ("", False), ("-car", False), ("a" * 65, False), ("müller", False)],
)  # fmt: skip
def test_a_name_is_no_path(tmp_path: Path, text: str, is_name: bool) -> None:
    assert is_account_name(text) is is_name
    if not is_name:
        with pytest.raises(KeyFileError, match="no account's name"):
            Keystore(tmp_path).file(text)


def test_the_folder_follows_the_xdg_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".local" / "share" / "bift" / "keystore"
    assert default_folder({}) == home
    assert default_folder({"XDG_DATA_HOME": "relative"}) == home
    assert default_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/bift/keystore")
