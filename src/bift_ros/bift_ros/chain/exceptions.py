"""What one vehicle's pool and store refuse; another vehicle's may not."""
# ruff: noqa: N818 - named for what is found, like the consensus exceptions

from __future__ import annotations

from bift_ros.consensus.exceptions import ChainError, InvalidTransaction


class AlreadyKnown(InvalidTransaction):
    """The pool holds this very transaction."""


class SequenceTaken(InvalidTransaction):
    """The pool holds another transaction of the sender with this sequence number."""


class PoolFull(InvalidTransaction):
    """The pool, or the sender's share of it, is full."""


class NotKept(InvalidTransaction):
    """The store could not keep it over a crash."""


class StoreError(ChainError):
    """The chain database can't be used; the message says why and what to do."""


class WrongGenesis(StoreError):
    """The database belongs to another chain."""
