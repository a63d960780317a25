"""What a command says to a person who can mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """Bad input or state; the message names the thing and the remedy."""


@contextmanager
def reporting(*kinds: type[Exception]) -> Iterator[None]:
    """Give a person the message of these exceptions, as a CommandError."""
    try:
        yield
    except kinds as error:
        raise CommandError(str(error)) from error
