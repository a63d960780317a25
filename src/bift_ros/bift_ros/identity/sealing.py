"""A secret sealed for many members at once, so that each who opens it can check all copies.

Copies are AES-256-GCM of the secret under keys from X25519 (RFC 7748) between an ephemeral key and
the member's own. The ephemeral key is derived from the secret. Whoever knows the secret can so make
every copy again, and see whether others were given the same; and its public half names the secret.

A member's X25519 key is its Ed25519 key in the other form of the same curve (RFC 7748, section
4.1), as age and libsodium do it: nothing more to hand out, to sign or to lose. Using one key pair
for both is proven safe by E. Thormarker (2021), "On using the same key pair for Ed25519 and an
X25519 based KEM".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bift_ros.identity.keys import KeyPair

SECRET_BYTES = 32
NAME_BYTES = 32
COPY_BYTES = SECRET_BYTES + 16
_PRIME = 2**255 - 19
_NONCE = bytes(12)  # every key below encrypts one thing only
_UNUSABLE = bytes(COPY_BYTES)


class Sealed(NamedTuple):
    """One secret for several members."""

    name: bytes
    """The ephemeral public key, 32 bytes; no other secret has it."""
    copies: bytes
    """COPY_BYTES for each member, in the order in which they were given."""


def name_of(secret: bytes) -> bytes:
    """Give the public name of a secret, 32 bytes: its ephemeral X25519 key."""
    return _ephemeral(secret).public_key().public_bytes_raw()


def seal(secret: bytes, recipients: Sequence[bytes]) -> Sealed:
    """Seal `secret` for the owners of these Ed25519 public keys; always to the same bytes."""
    ephemeral = _ephemeral(secret)
    name = ephemeral.public_key().public_bytes_raw()
    copies = []
    for public_key in recipients:
        shared = _exchange(ephemeral, _public(public_key))
        copy = _UNUSABLE
        if shared is not None:
            copy = AESGCM(_copy_key(shared, name, public_key)).encrypt(_NONCE, secret, name)
        copies.append(copy)
    return Sealed(name, b"".join(copies))


def unseal(key: KeyPair, sealed: Sealed) -> bytes | None:
    """Open the copy that is for `key`; None where there is none, or it is not the secret."""
    shared = _exchange(_private(key), sealed.name)
    if shared is None:
        return None
    cipher = AESGCM(_copy_key(shared, sealed.name, key.public_key))
    for start in range(0, len(sealed.copies), COPY_BYTES):
        try:
            copy = sealed.copies[start : start + COPY_BYTES]
            secret = cipher.decrypt(_NONCE, copy, sealed.name)
        except (InvalidTag, ValueError):
            continue
        return secret if name_of(secret) == sealed.name else None
    return None


def link(secret: bytes, earlier: bytes) -> bytes:
    """Encrypt an earlier secret under a later one, COPY_BYTES; always to the same bytes."""
    return AESGCM(derive(secret, b"bift earlier key")).encrypt(_NONCE, earlier, name_of(earlier))


def follow(secret: bytes, linked: bytes, earlier_name: bytes) -> bytes | None:
    """Open what `link` gave; None where it is not the secret of that name."""
    try:
        cipher = AESGCM(derive(secret, b"bift earlier key"))
        earlier = cipher.decrypt(_NONCE, linked, earlier_name)
    except (InvalidTag, ValueError):
        return None
    return earlier if name_of(earlier) == earlier_name else None


@lru_cache(maxsize=64)
def _ephemeral(secret: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derive(secret, b"bift ephemeral key"))


def _private(key: KeyPair) -> X25519PrivateKey:
    """The scalar that RFC 8032 (section 5.1.5) makes of the seed; X25519 clamps it alike."""
    return X25519PrivateKey.from_private_bytes(hashlib.sha512(key.seed).digest()[:32])


@lru_cache(maxsize=1024)
def _public(ed25519: bytes) -> bytes:
    """`u = (1 + y) / (1 − y)` of the Edwards point, whose sign does not matter here."""
    y = int.from_bytes(ed25519, "little") & (2**255 - 1)
    u = (1 + y) * pow(1 - y, _PRIME - 2, _PRIME) % _PRIME
    return u.to_bytes(32, "little")


def _exchange(private: X25519PrivateKey, public: bytes) -> bytes | None:
    """The shared secret; None for a key with which it would be known to everybody."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None


def _copy_key(shared: bytes, name: bytes, recipient: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=name + recipient, info=b"bift sealed copy").derive(shared)


def derive(secret: bytes, purpose: bytes) -> bytes:
    """Give 32 secret bytes of a secret for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(secret)
