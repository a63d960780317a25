"""Argument types that commands share."""

from __future__ import annotations

import argparse

# Each vehicle's training has a 31-bit seed of its own, made from this one.
_MAX_SEED = 2_000_000


def seed(text: str) -> int:
    """A seed for a whole run."""
    value = int(text)
    if not 0 <= value <= _MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not from 0 to {_MAX_SEED}")
    return value


def positive(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
