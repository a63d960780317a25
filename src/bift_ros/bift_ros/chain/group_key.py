"""A key for the fleet's model files, as a member gives it to the others on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bift_ros.chain.exceptions import FieldError
from bift_ros.chain.fields import check_bytes, check_integer
from bift_ros.chain.genesis import MAX_MEMBERS
from bift_ros.identity.sealing import COPY_BYTES, NAME_BYTES, Sealed, link, name_of, seal

MAX_KEYS = 4096
"""Keys of one chain: each change of members, and each false key, takes one."""


@dataclass(frozen=True)
class GroupKey:
    """A new key, sealed for each member, and a way back from it to the one before."""

    KIND: ClassVar[str] = "group_key"

    epoch: bytes
    """The membership that it is for (`State.epoch`), 32 bytes."""
    number: int
    """How many keys the chain has before this one."""
    ephemeral: bytes
    """The ephemeral X25519 key of `identity.sealing`, 32 bytes; it names the key."""
    copies: bytes
    """The key for each member in the order of their addresses, COPY_BYTES each."""
    previous: bytes
    """The name of the earlier key that this one leads back to; empty where there is none."""
    link: bytes
    """That key, encrypted under this one, COPY_BYTES; empty where there is none."""

    def __post_init__(self) -> None:
        check_bytes("epoch", self.epoch, NAME_BYTES, NAME_BYTES)
        check_integer("number", self.number, 0, MAX_KEYS - 1)
        check_bytes("ephemeral", self.ephemeral, NAME_BYTES, NAME_BYTES)
        check_bytes("copies", self.copies, COPY_BYTES, COPY_BYTES * MAX_MEMBERS)
        check_bytes("previous", self.previous, 0, NAME_BYTES)
        check_bytes("link", self.link, 0, COPY_BYTES)
        if len(self.copies) % COPY_BYTES:
            raise FieldError(f"copies: {len(self.copies)} bytes are not some of {COPY_BYTES} each")
        if (len(self.previous), len(self.link)) not in ((0, 0), (NAME_BYTES, COPY_BYTES)):
            raise FieldError("previous and link: not both whole, nor both empty")

    @property
    def sealed(self) -> Sealed:
        """The key as `identity.sealing` opens it."""
        return Sealed(self.ephemeral, self.copies)


def make_group_key(
    secret: bytes, epoch: bytes, number: int, recipients: Sequence[bytes], earlier: bytes | None
) -> GroupKey:
    """Give `secret` to the owners of these Ed25519 public keys, with a way back to `earlier`.

    The same arguments always give the same bytes.
    """
    name, copies = seal(secret, recipients)
    if earlier is None:
        return GroupKey(epoch, number, name, copies, b"", b"")
    return GroupKey(epoch, number, name, copies, name_of(earlier), link(secret, earlier))
