"""Ed25519 key pairs and the addresses derived from them (RFC 8032)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
ADDRESS_HEX_DIGITS = 40


def address_of(public_key: bytes) -> str:
    """Give the account of a public key: the first 20 bytes of its SHA-256, as 40 hex digits.

    Raises ValueError where `public_key` is not 32 bytes long.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"an Ed25519 public key has 32 bytes, this one has {len(public_key)}")
    return hashlib.sha256(public_key).hexdigest()[:ADDRESS_HEX_DIGITS]


@lru_cache(maxsize=1024)
def _load(public_key: bytes) -> Ed25519PublicKey:
    # Decompressing the curve point costs about as much as a tenth of a verification.
    return Ed25519PublicKey.from_public_bytes(public_key)


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` (64 bytes) is the key's own over `message`; never raises."""
    try:
        _load(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class KeyPair:
    """One member's secret and what follows from it."""

    seed: bytes = field(repr=False)
    """The 32 secret bytes of RFC 8032; kept out of every printed form."""

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has 32 bytes, this one has {len(self.seed)}")

    @classmethod
    def generate(cls) -> KeyPair:
        """Draw a new key from the operating system's random source."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> KeyPair:
        """Rebuild the key of a 32-byte seed; raises ValueError for another length."""
        return cls(seed)

    @cached_property
    def _private_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def public_key(self) -> bytes:
        """The 32 bytes that the genesis file lists."""
        return self._private_key.public_key().public_bytes_raw()

    @cached_property
    def address(self) -> str:
        """The account's name on the chain, 40 lower-case hex digits."""
        return address_of(self.public_key)

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; the 64 bytes are the same each time (Ed25519 draws no nonce)."""
        return self._private_key.sign(message)

    def derive(self, purpose: bytes) -> bytes:
        """Give 32 secret bytes for one purpose: HMAC-SHA256 (RFC 2104) under the seed."""
        return hmac.digest(self.seed, purpose, "sha256")
