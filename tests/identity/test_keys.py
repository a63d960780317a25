"""Keys against RFC 8032's own vectors, and key files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.identity.keyfile import KeyFileError, load_key, save_key
from bift_ros.identity.keys import KeyPair, address_of, verify

# RFC 8032, section 7.1: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
]
KEY = KeyPair.from_seed(bytes(range(32)))


@pytest.mark.parametrize(("seed", "public", "message", "signature"), VECTORS)
def test_rfc_8032(seed: str, public: str, message: str, signature: str) -> None:
    key = KeyPair.from_seed(bytes.fromhex(seed))
    assert key.public_key.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public_key, bytes.fromhex(signature), bytes.fromhex(message))


@given(st.binary(max_size=200), st.integers(0, 511))
def test_one_flipped_bit_breaks_a_signature(message: bytes, bit: int) -> None:
    signature = bytearray(KEY.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(KEY.public_key, bytes(signature), message)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_verify_never_raises(public_key: bytes, signature: bytes) -> None:
    assert not verify(public_key, signature, b"message")


def test_address_is_the_hash_of_the_public_key() -> None:
    assert KEY.address == address_of(KEY.public_key)
    assert len(KEY.address) == 40
    assert int(KEY.address, 16)
    assert KeyPair.generate().address != KeyPair.generate().address


def test_wrong_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="32 bytes, this one has 31"):
        KeyPair.from_seed(bytes(31))
    with pytest.raises(ValueError, match="32 bytes, this one has 33"):
        address_of(bytes(33))


def test_the_seed_is_never_printed() -> None:
    assert KEY.seed.hex() not in repr(KEY)
    assert repr(KEY.seed) not in repr(KEY)


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_key_file_round_trip(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "keys" / "vehicle.pem"
    save_key(path, KEY, passphrase)
    assert load_key(path, passphrase) == KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["vehicle.pem"]
    assert path.read_text().startswith(
        "-----BEGIN ENCRYPTED PRIVATE KEY" if passphrase else "-----BEGIN PRIVATE KEY"
    )


def test_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    save_key(path, KEY, None)
    with pytest.raises(KeyFileError, match="exists already"):
        save_key(path, KeyPair.generate(), None)
    assert load_key(path, None) == KEY
    assert os.listdir(tmp_path) == ["key.pem"]


def test_key_file_errors_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"missing\.pem: No such file"):
        load_key(tmp_path / "missing.pem", None)
    locked, plain = tmp_path / "locked.pem", tmp_path / "plain.pem"
    save_key(locked, KEY, b"secret")
    save_key(plain, KEY, None)
    with pytest.raises(KeyFileError, match="is encrypted; give its passphrase"):
        load_key(locked, None)
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        load_key(locked, b"guess")
    with pytest.raises(KeyFileError, match="is not encrypted"):
        load_key(plain, b"secret")
    plain.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(plain, None)
    half = tmp_path / "half.pem"
    half.write_bytes(locked.read_bytes()[:80])
    half.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"half\.pem holds no PKCS#8 PEM key"):
        load_key(half, None)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ec.pem"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="another kind"):
        load_key(path, None)


def test_a_key_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="can't write"):
        save_key(tmp_path / "file" / "key.pem", KEY, None)
