"""Answers to catch-up: what was asked for, each part judged as if it had come by itself.

An answer is a canonical list of byte strings. A vehicle reads one only from whom it has asked, and
no budget counts: a vehicle is asked for a bounded number of things, and whatever is wrong in its
answer ends the reading of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bift_ros.consensus.authorship import read_anonymous_block, read_block
from bift_ros.consensus.blocks import (
    MAX_BLOCK_BYTES,
    MAX_SIGNED_HEADER_BYTES,
    Block,
    SignedHeader,
    parse_envelope,
)
from bift_ros.consensus.encoding import byte_strings, encode
from bift_ros.consensus.exceptions import (
    BadQuorum,
    EncodingError,
    FieldError,
    InvalidBlock,
    MalformedBlock,
    MalformedTransaction,
)
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.quorums import MAX_QUORUM_BYTES, Quorum
from bift_ros.consensus.transactions import (
    MAX_GROUP_KEY_BYTES,
    Canonical,
    Transaction,
    read_transaction,
)

HEADERS_PER_ANSWER = 256
BLOCKS_PER_ANSWER = 32
KEYS_PER_ANSWER = 32
QUORUMS_PER_ANSWER = 4


def _largest(count: int, size: int) -> int:
    return len(encode([0] * count)) + count * (len(encode(bytes(size))) - 1)


MAX_HEADERS_BYTES = _largest(HEADERS_PER_ANSWER, MAX_SIGNED_HEADER_BYTES)
MAX_BLOCKS_BYTES = _largest(BLOCKS_PER_ANSWER, MAX_BLOCK_BYTES)
MAX_QUORUMS_BYTES = _largest(QUORUMS_PER_ANSWER, MAX_QUORUM_BYTES)
MAX_KEYS_BYTES = _largest(KEYS_PER_ANSWER, MAX_GROUP_KEY_BYTES)


def answer_bytes(items: Iterable[Canonical]) -> bytes:
    """Write an answer."""
    return encode([item.to_bytes() for item in items])


def read_headers(data: bytes) -> tuple[SignedHeader, ...]:
    """Read headers, neither work nor signatures checked: whoever wants their blocks does that.

    Raises MalformedBlock.
    """
    try:
        items = _items(data, HEADERS_PER_ANSWER, MAX_HEADERS_BYTES)
    except EncodingError as error:
        raise MalformedBlock(f"no headers: {error}") from error
    return tuple(SignedHeader.from_bytes(item) for item in items)


def read_quorums(data: bytes) -> tuple[Quorum, ...]:
    """Read quorums, no signature checked: whoever knows who had a vote does that.

    Raises BadQuorum.
    """
    try:
        items = _items(data, QUORUMS_PER_ANSWER, MAX_QUORUMS_BYTES)
        return tuple(Quorum.from_bytes(item) for item in items)
    except (EncodingError, FieldError) as error:
        raise BadQuorum(f"no quorums: {error}") from error


def read_blocks(
    data: bytes, asked: Iterable[bytes], genesis: Genesis, members: Mapping[str, Member]
) -> Iterator[Block]:
    """Give blocks that were asked for, by their hashes, and mined by one of `members`.

    Raises InvalidBlock at the first that is another, or that no member made.
    """
    wanted = set(asked)
    for item in _block_items(data):
        header, _, _ = parse_envelope(item)
        if header.hash not in wanted:
            raise InvalidBlock("nobody asked for it")
        wanted.discard(header.hash)
        yield read_block(item, genesis, members)


def read_anonymous_blocks(data: bytes) -> Iterator[Block]:
    """Give blocks, whoever made them: for those who have no genesis. Raises InvalidBlock."""
    return map(read_anonymous_block, _block_items(data))


def read_keys(
    data: bytes, genesis: Genesis, members: Mapping[str, Member]
) -> tuple[Transaction, ...]:
    """Read transactions that give keys, each signed by one of `members`.

    Raises a kind of InvalidTransaction.
    """
    try:
        items = _items(data, KEYS_PER_ANSWER, MAX_KEYS_BYTES)
    except EncodingError as error:
        raise MalformedTransaction(f"no keys: {error}") from error
    found = tuple(read_transaction(item, genesis, members) for item in items)
    if not all(isinstance(each.payload, GroupKey) for each in found):
        raise MalformedTransaction("a transaction gives no key")
    return found


def _block_items(data: bytes) -> list[bytes]:
    try:
        return _items(data, BLOCKS_PER_ANSWER, MAX_BLOCKS_BYTES)
    except EncodingError as error:
        raise MalformedBlock(f"no blocks: {error}") from error


def _items(data: bytes, most: int, largest: int) -> list[bytes]:
    if len(data) > largest:
        raise EncodingError(f"{len(data):,} bytes, at most {largest:,} are read")
    return byte_strings(data, most)
