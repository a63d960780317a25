"""Whether a chain database holds what was written: every row's hash, one tree and one chain."""

from __future__ import annotations

import sqlite3

from bift_ros.chain.interface import Base
from bift_ros.chain.stored_nodes import digest_of
from bift_ros.consensus.blocks import Header, parse_envelope
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.exceptions import ChainError, MalformedBlock

TABLES = {"meta", "blocks", "canonical", "notes", "evidence", "states", "quorums", "votes"}


class DamageError(Exception):
    """What is wrong with the database's content."""


def check_pages(connection: sqlite3.Connection) -> bytes:
    """Check every page and that the tables are there; give the genesis hash that is kept."""
    (report,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if report != b"ok":
        raise DamageError(report.decode())
    tables = {name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables >= TABLES:
        raise DamageError(f"the tables {', '.join(sorted(TABLES - tables))} are missing")
    row = connection.execute("SELECT value FROM meta WHERE key = 'genesis'").fetchone()
    if row is None:
        raise DamageError("the genesis hash is missing")
    return bytes(row[0])


def check_blocks(connection: sqlite3.Connection, base: Base) -> None:
    """Check every row's hash, and that the rows form one tree and one chain above the base."""
    parents = {base.hash: (b"", base.height)}
    rows = connection.execute(
        "SELECT hash, height, data, standing, digest FROM blocks ORDER BY number"
    )
    for block_hash, height, data, standing, digest in rows:
        header = _checked_header(block_hash, height, data, standing, digest)
        below = parents.get(header.previous_hash)
        if below is None or below[1] + 1 != header.height:
            raise DamageError(f"block {header.height} does not follow an earlier row")
        parents[block_hash] = (header.previous_hash, header.height)
    previous = base.hash
    rows = connection.execute("SELECT height, hash FROM canonical ORDER BY height")
    for expected, (height, block_hash) in enumerate(rows, base.height + 1):
        if height != expected or parents.get(block_hash) != (previous, height):
            raise DamageError(f"the chain is broken at height {expected}")
        previous = block_hash


def _checked_header(
    block_hash: object, height: object, data: object, standing: object, digest: object
) -> Header:
    """Read a row's header, its bytes unaltered; the replay judges what they say."""
    try:
        if not isinstance(data, bytes) or not isinstance(standing, bytes | None):
            raise MalformedBlock("not a byte string")
        if digest_of(data, standing) != digest:
            raise MalformedBlock("its bytes were altered")
        header, body, _ = parse_envelope(data)
    except ChainError as error:
        raise DamageError(f"a row holds no block of this chain: {error}") from error
    if (header.hash, header.height) != (block_hash, height) or sha256(body) != header.body_hash:
        raise DamageError(f"block {header.height} does not have its hash")
    return header
