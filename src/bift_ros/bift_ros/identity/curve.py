"""Which 32 bytes may be a member's Ed25519 key (RFC 8032, section 5.1).

Libraries differ on odd keys: some take points of small order, under which one signature fits many
messages, or a second encoding of a point. Signatures under a key that passes here are judged alike
by every library that follows RFC 8032 without the cofactor.
"""

from __future__ import annotations

from functools import lru_cache

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)


_Point = tuple[int, int, int, int]
"""x, y, z, t in extended coordinates: the affine point is (x/z, y/z), and t is xy/z."""


@lru_cache(maxsize=4096)
def is_sound(public_key: bytes) -> bool:
    """Tell whether these are the one encoding of a point of the base point's prime order."""
    point = _decode(public_key)
    if point is None or point == (0, 1, 1, 0):
        return False
    x, y, z, _ = _multiply_by_order(point)
    return x == 0 and y == z


def _decode(data: bytes) -> _Point | None:
    """Read the canonical encoding of a point; None for any other bytes."""
    number = int.from_bytes(data, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    if len(data) != 32 or y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _multiply_by_order(point: _Point) -> _Point:
    total = point
    for bit in f"{_ORDER:b}"[1:]:
        total = _double(total)
        if bit == "1":
            total = _add(total, point)
    return total


def _add(one: _Point, other: _Point) -> _Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * _D * t1 * t2 % _P, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double(point: _Point) -> _Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h, g = a + b, a - b
    e, f = h - (x + y) ** 2 % _P, 2 * z * z + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P
