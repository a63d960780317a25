"""Ed25519's curve by its affine formulas (RFC 8032, 5.1): slow, and apart from what is tested.

Keys and signatures that no honest signer makes are built with it.
"""

from __future__ import annotations

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
"""A square root of -1."""

Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    cross = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + cross, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - cross, -1, P) % P


def times(scalar: int, point: Point) -> Point:
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def negative(point: Point) -> Point:
    return -point[0] % P, point[1]


def lift(y: int) -> Point | None:
    """The point with this y and an even x; None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    return (min(x, -x % P, key=lambda root: root & 1), y) if x * x % P == square else None


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def torsion() -> list[Point]:
    """The eight points whose order divides 8, as multiples of one of order 8."""
    y = 2
    while True:
        point = lift(y)
        if point is not None:
            root = times(L, point)
            if times(4, root) != IDENTITY:
                return [times(i, root) for i in range(8)]
        y += 1


BASE = lift(4 * pow(5, -1, P) % P) or IDENTITY
TORSION = torsion()
NON_CANONICAL = [
    (y | sign << 255).to_bytes(32, "little")
    for y in range(P, 2**255)
    for sign in (0, 1)
    if lift(y - P) is not None
] + [encoded((1, y)) for y in (1, P - 1)]
"""Encodings of points that have another: y not below P, or a sign where x is 0."""


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def signature(r: bytes, secret: int, nonce: int, key: bytes, message: bytes) -> bytes:
    """What the owner of `secret` signs under whatever it says are its R and its key."""
    s = (nonce + challenge(r, key, message) * secret) % L
    return r + s.to_bytes(32, "little")


UNSOUND_KEYS = {
    "small order": encoded(TORSION[1]),
    "neutral element": encoded(IDENTITY),
    "mixed order": encoded(add(BASE, TORSION[4])),
    "non-canonical": NON_CANONICAL[0],
    "no point": (2).to_bytes(32, "little"),
}
