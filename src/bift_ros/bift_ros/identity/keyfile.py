"""A key on disk, readable by its owner alone: two PEM blocks.

The first is the private key (PKCS#8), encrypted where a passphrase is given. The second is the
public key (SubjectPublicKeyInfo), so that whose key it is can be said without the passphrase.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bift_ros.identity.keys import KeyPair

_PUBLIC_BEGIN = b"-----BEGIN PUBLIC KEY-----"


class KeyFileError(Exception):
    """A key file that can't be written or read; the message names the file and the remedy."""


def read_passphrase(path: str | Path) -> bytes:
    """Give the passphrase that a file holds, without the line's end; raises OSError."""
    return Path(path).read_bytes().rstrip(b"\n")


def save_key(path: str | Path, key: KeyPair, passphrase: bytes | None) -> None:
    """Write `key` to `path` with mode 600, whole or not at all.

    An existing file is never overwritten: a lost key is a lost account.
    Raises KeyFileError.
    """
    path = Path(path)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    private = Ed25519PrivateKey.from_private_bytes(key.seed)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ) + private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        _make_folder(path.parent)
        # mkstemp makes the file with mode 600, so the secret is never readable by others.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # fails where `path` exists, unlike a rename
        finally:
            os.unlink(temporary)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} exists already; move it away first, or choose another name"
        ) from error
    except OSError as error:
        raise KeyFileError(f"can't write the key file {path}: {error.strerror}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file stands in the way of the folder
        raise NotADirectoryError(errno.ENOTDIR, "its folder is a file") from error


def load_key(path: str | Path, passphrase: bytes | None) -> KeyPair:
    """Read the key that `save_key` wrote; raises KeyFileError with the reason and the remedy."""
    path = Path(path)
    pem = _read(path)
    try:
        private = serialization.load_pem_private_key(pem, passphrase or None)
    except TypeError as error:  # a passphrase missing, or given for a key without one
        remedy = "don't give one" if passphrase else "give its passphrase"
        state = "is not encrypted" if passphrase else "is encrypted"
        raise KeyFileError(f"the key file {path} {state}; {remedy}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path} holds no PKCS#8 PEM key, or the passphrase is wrong") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another kind; Bift needs Ed25519")
    return KeyPair(private.private_bytes_raw())


def unlock_key(path: str | Path, passphrase_file: str | Path | None) -> KeyPair:
    """Read a key, with the passphrase that a file holds; raises KeyFileError or OSError."""
    return load_key(path, read_passphrase(passphrase_file) if passphrase_file else None)


def load_public_key(path: str | Path) -> bytes:
    """Read the public key, 32 bytes, that `save_key` wrote beside the private one.

    It is what the file says: a signature alone proves that the two belong together. Raises
    KeyFileError.
    """
    path = Path(path)
    pem = _read(path)
    start = pem.find(_PUBLIC_BEGIN)
    if start < 0:
        raise KeyFileError(f"{path} names no public key: it takes the passphrase to tell")
    try:
        public = serialization.load_pem_public_key(pem[start:])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"the public key in {path} can't be read") from error
    if not isinstance(public, Ed25519PublicKey):
        raise KeyFileError(f"{path} holds a key of another kind; Bift needs Ed25519")
    return public.public_bytes_raw()


def is_encrypted(path: str | Path) -> bool:
    """Tell whether a key file takes a passphrase; raises KeyFileError."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in _read(Path(path))


def _read(path: Path) -> bytes:
    try:
        pem = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeyFileError(f"can't read the key file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
    return pem
