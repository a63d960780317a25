"""Whose Ed25519 semantics the consensus has: keys and signatures that no honest signer makes.

Each is built by the curve's own formulas, and the rule of docs/specification.md, computed beside
it, says what is right: the cases in which libraries are known to differ (K. Chalkias et al.,
"Taming the many EdDSAs", 2020; ZIP 215).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.identity.curve import is_sound
from bift_ros.identity.keys import KeyPair, verify
from world.edwards import (
    BASE,
    IDENTITY,
    NON_CANONICAL,
    TORSION,
    UNSOUND_KEYS,
    L,
    P,
    Point,
    add,
    challenge,
    encoded,
    lift,
    negative,
    signature,
    times,
)

SECRET, NONCE = 0x1234567890ABCDEF, 0xFEDCBA0987654321
PUBLIC = times(SECRET, BASE)
KEY = encoded(PUBLIC)
R = times(NONCE, BASE)
MESSAGES = [b"message %d" % number for number in range(16)]


def holds(signed: bytes, key: Point, key_bytes: bytes, message: bytes) -> bool:
    """The rule: S below L, and R the encoding of [S]B - [k]A."""
    r, s = signed[:32], int.from_bytes(signed[32:], "little")
    k = challenge(r, key_bytes, message)
    return s < L and r == encoded(add(times(s, BASE), negative(times(k, key))))


def cofactored(signed: bytes, r: Point, message: bytes) -> bool:
    """What others ask (ZIP 215): the same equation times eight."""
    s, k = int.from_bytes(signed[32:], "little"), challenge(signed[:32], KEY, message)
    return times(8, times(s, BASE)) == times(8, add(r, times(k, PUBLIC)))


def test_the_formulas_agree_with_the_library() -> None:
    key = KeyPair.from_seed(bytes(32))
    signed = key.sign(b"message")
    found = lift(int.from_bytes(key.public_key, "little") & 2**255 - 1) or IDENTITY
    [point] = [p for p in (found, negative(found)) if encoded(p) == key.public_key]
    assert holds(signed, point, key.public_key, b"message")
    assert verify(KEY, signature(encoded(R), SECRET, NONCE, KEY, b"message"), b"message")
    assert len({encoded(point) for point in TORSION}) == 8
    assert all(times(8, point) == IDENTITY for point in TORSION)


@settings(max_examples=30)
@given(st.binary(min_size=32, max_size=32))
def test_the_keys_of_honest_members_are_sound(seed: bytes) -> None:
    assert is_sound(KeyPair.from_seed(seed).public_key)


@pytest.mark.parametrize("number", range(8))
def test_a_key_of_small_or_mixed_order_is_unsound(number: int) -> None:
    assert not is_sound(encoded(TORSION[number]))
    assert is_sound(encoded(add(PUBLIC, TORSION[number]))) == (number == 0)


def test_a_second_encoding_of_a_point_is_unsound() -> None:
    assert len(NON_CANONICAL) == 26
    assert not any(is_sound(key) for key in NON_CANONICAL)


def test_what_is_no_point_is_unsound() -> None:
    assert not any(map(is_sound, UNSOUND_KEYS.values()))
    nowhere = [y.to_bytes(32, "little") for y in range(2, 40) if lift(y) is None]
    assert len(nowhere) > 5
    assert not any(is_sound(key) for key in nowhere)
    assert not any(is_sound(key) for key in (b"", KEY[:31], KEY + b"\0"))


def test_why_unsound_keys_are_refused() -> None:
    """Under a key of small order anybody's signature fits some message after another."""
    key = encoded(TORSION[1])
    signed = encoded(R) + NONCE.to_bytes(32, "little")
    assert sum(verify(key, signed, b"%d" % number) for number in range(100)) > 1


@pytest.mark.parametrize("message", MESSAGES[:3])
def test_s_is_below_the_order(message: bytes) -> None:
    signed = signature(encoded(R), SECRET, NONCE, KEY, message)
    s = int.from_bytes(signed[32:], "little")
    assert verify(KEY, signed, message)
    for multiple in range(1, 16):
        if s + multiple * L < 2**256:
            other = signed[:32] + (s + multiple * L).to_bytes(32, "little")
            assert not verify(KEY, other, message)


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("message", MESSAGES[:3])
def test_r_of_mixed_order_is_refused_though_the_cofactored_equation_holds(
    number: int, message: bytes
) -> None:
    odd = add(R, TORSION[number])
    signed = signature(encoded(odd), SECRET, NONCE, KEY, message)
    assert cofactored(signed, odd, message)
    assert not holds(signed, PUBLIC, KEY, message)
    assert not verify(KEY, signed, message)


@pytest.mark.parametrize("number", range(8))
def test_r_of_small_order_is_judged_by_the_equation_alone(number: int) -> None:
    """Which only the neutral element fulfils, and whose signer gives its secret away."""
    for message in MESSAGES[:3]:
        signed = signature(encoded(TORSION[number]), SECRET, 0, KEY, message)
        assert cofactored(signed, TORSION[number], message)
        assert verify(KEY, signed, message) == holds(signed, PUBLIC, KEY, message) == (number == 0)


def test_r_in_a_second_encoding_is_refused() -> None:
    for r in NON_CANONICAL:
        for message in MESSAGES[:3]:
            assert not verify(KEY, signature(r, SECRET, 0, KEY, message), message)
    second = (P + 1).to_bytes(32, "little")  # of the neutral element, whose first one passes
    assert second in NON_CANONICAL
    assert cofactored(signature(second, SECRET, 0, KEY, b""), IDENTITY, b"")


@settings(max_examples=60, deadline=None)
@given(
    nonce=st.sampled_from([0, 1, L - 1, NONCE]),
    number=st.integers(0, 7),
    shift=st.sampled_from([0, 0, 0, 1, L]),
    message=st.binary(max_size=8),
)
def test_whatever_a_member_signs_is_judged_by_the_rule(
    nonce: int, number: int, shift: int, message: bytes
) -> None:
    r = encoded(add(times(nonce, BASE), TORSION[number]))
    signed = signature(r, SECRET, nonce, KEY, message)
    s = int.from_bytes(signed[32:], "little") + shift
    signed = r + s.to_bytes(32, "little")
    assert verify(KEY, signed, message) == holds(signed, PUBLIC, KEY, message)
