"""A key for the fleet's model files, as a member gives it to the others on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bift_ros.consensus.exceptions import FieldError
from bift_ros.consensus.fields import check_bytes
from bift_ros.consensus.genesis import MAX_MEMBERS
from bift_ros.identity.sealing import COPY_BYTES, NAME_BYTES, Sealed, follow, link, name_of, seal

MAX_LINKS = 16
"""Earlier keys that one leads back to: seldom more than one."""


@dataclass(frozen=True)
class GroupKey:
    """A new key, sealed for each member, and the way back from it to those of earlier members."""

    KIND: ClassVar[str] = "group_key"

    epoch: bytes
    """The membership that it is for (`State.epoch`), 32 bytes."""
    ephemeral: bytes
    """The ephemeral X25519 key of `identity.sealing`, 32 bytes; it names the key."""
    copies: bytes
    """The key for each member in the order of their addresses, COPY_BYTES each."""
    previous: bytes
    """The names of the keys that it leads back to, NAME_BYTES each."""
    links: bytes
    """Those keys, encrypted under this one, COPY_BYTES each."""

    def __post_init__(self) -> None:
        check_bytes("epoch", self.epoch, NAME_BYTES, NAME_BYTES)
        check_bytes("ephemeral", self.ephemeral, NAME_BYTES, NAME_BYTES)
        check_bytes("copies", self.copies, COPY_BYTES, COPY_BYTES * MAX_MEMBERS)
        check_bytes("previous", self.previous, 0, NAME_BYTES * MAX_LINKS)
        check_bytes("links", self.links, 0, COPY_BYTES * MAX_LINKS)
        if len(self.copies) % COPY_BYTES:
            raise FieldError(f"copies: {len(self.copies)} bytes are not some of {COPY_BYTES} each")
        count, rest = divmod(len(self.previous), NAME_BYTES)
        if rest or len(self.links) != count * COPY_BYTES:
            raise FieldError("previous and links: not one link for each name")

    @property
    def sealed(self) -> Sealed:
        """The key as `identity.sealing` opens it."""
        return Sealed(self.ephemeral, self.copies)

    def earlier(self, secret: bytes) -> dict[bytes, bytes | None]:
        """Give the keys that this one, `secret`, leads back to, by name; None where it does not."""
        names = [
            self.previous[at : at + NAME_BYTES] for at in range(0, len(self.previous), NAME_BYTES)
        ]
        found = {}
        for number, name in enumerate(names):
            linked = self.links[number * COPY_BYTES : (number + 1) * COPY_BYTES]
            found[name] = follow(secret, linked, name)
        return found


def make_group_key(
    secret: bytes, epoch: bytes, recipients: Sequence[bytes], earlier: Sequence[bytes] = ()
) -> GroupKey:
    """Give `secret` to the owners of these Ed25519 public keys, with a way back to earlier ones.

    The same arguments always give the same bytes.
    """
    name, copies = seal(secret, recipients)
    previous = b"".join(name_of(each) for each in earlier)
    return GroupKey(epoch, name, copies, previous, b"".join(link(secret, e) for e in earlier))
