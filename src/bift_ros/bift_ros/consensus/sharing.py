"""Which files the fleet shares: each member's list, by name, as the chain tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.payloads import ShareFile, WithdrawFile
from bift_ros.consensus.state import SharedFile, State, changed

MAX_SHARES = 256
"""Files on one member's list."""


def check_share(state: State, sender: str, share: ShareFile) -> None:
    """Refuse a share that would make the sender's list too long; raises InvalidTransaction."""
    listed = state.shares.get(sender, {})
    if share.name not in listed and len(listed) >= MAX_SHARES:
        raise InvalidTransaction(
            f"{sender} shares {MAX_SHARES} files, the most: it must withdraw one"
        )


def apply_share(state: State, sender: str, said: ShareFile | WithdrawFile) -> State:
    """List a file, in place of the sender's earlier one of this name, or take one off the list."""
    listed = {
        name: file for name, file in state.shares.get(sender, {}).items() if name != said.name
    }
    if isinstance(said, ShareFile):
        listed[said.name] = SharedFile(said, state.timestamp)
    return changed(state, shares=with_list(state.shares, sender, listed))


def with_list(
    shares: Mapping[str, Mapping[str, SharedFile]], sender: str, listed: Mapping[str, SharedFile]
) -> dict[str, Mapping[str, SharedFile]]:
    """Give `shares` with another list of one member; an empty one leaves no trace."""
    others = {address: files for address, files in shares.items() if address != sender}
    return {**others, sender: listed} if listed else others


def shared_files(state: State) -> Iterator[tuple[str, SharedFile]]:
    """Give every listed file with its member's address, by the file's name."""
    found = [(address, file) for address, files in state.shares.items() for file in files.values()]
    return iter(sorted(found, key=lambda each: (each[1].file.name, each[0])))
