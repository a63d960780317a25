"""What a member says of files for the fleet, such as map tiles (paper, section V).

A member lists files by name. Its later share under the same name replaces the earlier one, and a
withdrawal ends it; what others share under that name is not touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from bift_ros.consensus.fields import check_cid, check_integer, check_text

MAX_FILE_BYTES = 2**50
FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_DESCRIPTION = re.compile(r"[ -~]{0,200}")


@dataclass(frozen=True)
class ShareFile:
    """Lists a file that the sender serves to whoever asks."""

    KIND: ClassVar[str] = "share_file"

    name: str
    """What the sender calls it: a file name without a folder."""
    cid: str
    """The file."""
    size: int
    """Its bytes; a claim, like the description."""
    description: str
    """What is in it, in printable ASCII; may be empty."""

    def __post_init__(self) -> None:
        check_text("name", self.name, FILE_NAME)
        check_cid("cid", self.cid)
        check_integer("size", self.size, 0, MAX_FILE_BYTES)
        check_text("description", self.description, _DESCRIPTION)


@dataclass(frozen=True)
class WithdrawFile:
    """Takes a file off the sender's list; of a name that is not there it changes nothing."""

    KIND: ClassVar[str] = "withdraw_file"

    name: str
    """What the sender calls it."""

    def __post_init__(self) -> None:
        check_text("name", self.name, FILE_NAME)
