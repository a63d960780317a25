"""What goes wrong with files."""

from __future__ import annotations


class StorageError(Exception):
    """A file could not be stored or had; the message says which, why and what helps."""


class NotFound(StorageError):  # noqa: N818 - the name the interface promises
    """The file is neither here nor at any of the providers that were asked."""
