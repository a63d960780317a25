"""A secret sealed for many: each opens its own copy, can check all, and nobody else reads it."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.identity import sealing
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.sealing import COPY_BYTES, Sealed, follow, link, name_of, seal, unseal

KEYS = [KeyPair.from_seed(bytes([n] * 32)) for n in range(4)]
PUBLIC = [key.public_key for key in KEYS]
SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
secrets = st.binary(min_size=32, max_size=32)


@given(secrets)
def test_both_halves_of_a_key_take_the_other_form_alike(seed: bytes) -> None:
    """The public key is converted on the curve, the private one hashed: the two must meet."""
    key = KeyPair.from_seed(seed)
    scalar = hashlib.sha512(seed).digest()[:32]
    expected = X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes_raw()
    assert sealing._public(key.public_key) == expected


@given(secrets)
def test_everybody_opens_the_same_and_a_stranger_nothing(secret: bytes) -> None:
    sealed = seal(secret, PUBLIC[:3])
    assert len(sealed.copies) == 3 * COPY_BYTES
    assert sealed.name == name_of(secret)
    assert [unseal(key, sealed) for key in KEYS] == [secret, secret, secret, None]
    assert seal(secret, PUBLIC[:3]) == sealed


def test_whoever_opens_its_copy_sees_that_another_is_false() -> None:
    sealed = seal(SECRET, PUBLIC[:3])
    forged = seal(OTHER, PUBLIC[:3])
    mixed = Sealed(sealed.name, sealed.copies[: 2 * COPY_BYTES] + forged.copies[2 * COPY_BYTES :])
    assert unseal(KEYS[0], mixed) == SECRET
    assert seal(SECRET, PUBLIC[:3]) != mixed
    assert unseal(KEYS[2], mixed) is None


def test_a_secret_of_another_name_is_not_taken() -> None:
    """The copy opens, but holds what the name does not stand for."""
    mine = sealing._exchange(sealing._private(KEYS[0]), name_of(SECRET))
    assert mine is not None
    key = sealing._copy_key(mine, name_of(SECRET), PUBLIC[0])
    copy = sealing.AESGCM(key).encrypt(bytes(12), OTHER, name_of(SECRET))
    assert unseal(KEYS[0], Sealed(name_of(SECRET), copy)) is None


@given(st.integers(0, 2 * COPY_BYTES - 1), st.integers(1, 255))
def test_a_changed_copy_is_not_opened(position: int, change: int) -> None:
    sealed = seal(SECRET, PUBLIC[:2])
    copies = bytearray(sealed.copies)
    copies[position] ^= change
    hit = position // COPY_BYTES
    opened = [unseal(key, Sealed(sealed.name, bytes(copies))) for key in KEYS[:2]]
    assert opened == [None if n == hit else SECRET for n in range(2)]


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32))
def test_any_bytes_open_nothing(copies: bytes, name: bytes) -> None:
    assert unseal(KEYS[0], Sealed(name, copies)) is None


def test_a_key_that_belongs_to_nobody_harms_nobody() -> None:
    """Its y is 1, or it gives a shared secret that everybody knows: its copy stays empty."""
    odd = [(1).to_bytes(32, "little"), bytes(32), b"\xff" * 32]
    for key in odd:
        sealed = seal(SECRET, [PUBLIC[0], key])
        assert unseal(KEYS[0], sealed) == SECRET
        assert seal(SECRET, [PUBLIC[0], key]) == sealed
    assert seal(SECRET, [odd[0]]).copies == bytes(COPY_BYTES)


@given(secrets, secrets)
def test_a_link_leads_back_and_not_forward(secret: bytes, earlier: bytes) -> None:
    linked = link(secret, earlier)
    assert follow(secret, linked, name_of(earlier)) == earlier
    assert follow(secret, linked, name_of(b"x" * 32)) is None
    assert follow(secret, linked[:-1], name_of(earlier)) is None
    if secret != earlier:
        assert follow(earlier, linked, name_of(earlier)) is None
