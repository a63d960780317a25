"""Checks of single fields: right type, in bounds. Every failure is a FieldError naming the field.

Dataclasses call these when they are made, so a value that exists is well-formed and two values
that are equal have equal canonical bytes (hence the strict types: 1 is neither 1.0 nor True).
"""

from __future__ import annotations

import math
import re
from typing import Any

from bift_ros.consensus.exceptions import FieldError
from bift_ros.storage.cid import CidError, check_cid_text

NAME = re.compile(r"[a-z0-9_-]{1,64}")
ADDRESS = re.compile(r"[0-9a-f]{40}")
MAX_INTEGER = 2**63 - 1
# The text of 0x01, codec raw or dag-pb, 0x12 0x20 and 32 bytes: what `check_cid_text` passes,
# which decodes it and says what is wrong with others.
_CID = re.compile(r"baf(?:kr|yb)ei[a-h][a-z2-7]{50}[aeimquy4]")


def check_integer(field: str, value: Any, low: int, high: int = MAX_INTEGER) -> None:
    """Refuse all but an int in [low, high]."""
    if type(value) is not int or not low <= value <= high:
        raise FieldError(f"{field}: {value!r:.60} is not an integer from {low} to {high}")


def check_float(field: str, value: Any, low: float, high: float) -> None:
    """Refuse all but a float in [low, high]; negative zero too, being a second form of zero."""
    if type(value) is not float or not low <= value <= high or math.copysign(1, value) < 0:
        raise FieldError(f"{field}: {value!r:.60} is not a float from {low} to {high}")


def check_bytes(field: str, value: Any, low: int, high: int) -> None:
    """Refuse all but a byte string of `low` to `high` bytes."""
    if type(value) is not bytes or not low <= len(value) <= high:
        size = f"{low}" if low == high else f"{low} to {high}"
        raise FieldError(f"{field}: not a byte string of {size} bytes")


def check_text(field: str, value: Any, pattern: re.Pattern[str]) -> None:
    """Refuse all but a text that matches `pattern` as a whole."""
    if type(value) is not str or not pattern.fullmatch(value):
        raise FieldError(f"{field}: {value!r:.80} does not have the form {pattern.pattern}")


def check_address(field: str, value: Any) -> None:
    """Refuse all but an account address."""
    check_text(field, value, ADDRESS)


def check_cid(field: str, value: Any) -> None:
    """Refuse all but the text of a file's CID."""
    if type(value) is str and _CID.fullmatch(value):
        return
    try:
        check_cid_text(value)
    except CidError as error:
        raise FieldError(f"{field}: {error}") from error


def check_list(field: str, value: Any, length: int | None = None) -> list[Any]:
    """Give `value` back where it is a decoded list, of `length` items if that is given."""
    if type(value) is not list or (length is not None and len(value) != length):
        size = "" if length is None else f" of {length} items"
        raise FieldError(f"{field}: not a list{size}")
    return value
