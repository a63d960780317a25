"""What a command says to a person who can mend it."""

from __future__ import annotations


class CommandError(Exception):
    """Bad input or state; the message names the thing and the remedy."""
