"""The states in a chain database: some for a quick start, and the snapshots of final blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from bift_ros.chain.interface import MAX_SNAPSHOTS, Base, Snapshot
from bift_ros.chain.store_check import DamageError
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.payloads import HASH_BYTES

SCHEMA = """
CREATE TABLE states (
    hash BLOB PRIMARY KEY,       -- the block's
    height INTEGER NOT NULL,
    data BLOB NOT NULL,          -- the canonical bytes of the state after it
    certificate BLOB,            -- what proves the block final, of a snapshot
    digest BLOB NOT NULL         -- SHA-256 of both, one after the other
);
"""
_HEIGHT_BYTES = 8


def keep_state(
    connection: sqlite3.Connection,
    block_hash: bytes,
    height: int,
    data: bytes,
    certificate: bytes | None = None,
) -> None:
    """Keep the state after a block; with a certificate in place of one kept without."""
    verb = "IGNORE" if certificate is None else "REPLACE"
    connection.execute(
        f"INSERT OR {verb} INTO states VALUES (?, ?, ?, ?, ?)",
        (block_hash, height, data, certificate, sha256(data + (certificate or b""))),
    )


def state_of(connection: sqlite3.Connection, block_hash: bytes) -> bytes | None:
    """Give the state kept with a block; None where there is none, or it was damaged."""
    query = "SELECT data, certificate, digest FROM states WHERE hash = ?"
    for data, certificate, digest in connection.execute(query, (block_hash,)):
        if _is_sound(data, certificate or b"", digest):
            return bytes(data)
    return None


def snapshots_of(connection: sqlite3.Connection) -> list[Snapshot]:
    """Give those that are not damaged, the newest first."""
    query = (
        "SELECT hash, height, data, certificate, digest FROM states "
        "WHERE certificate IS NOT NULL ORDER BY height DESC"
    )
    return [
        Snapshot(block_hash, height, data, certificate)
        for block_hash, height, data, certificate, digest in connection.execute(query)
        if isinstance(block_hash, bytes) and _is_sound(data, certificate, digest)
    ]


def base_of(connection: sqlite3.Connection, genesis_hash: bytes) -> Base:
    """Give the block that the lowest ones stand on. Raises DamageError."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'base'").fetchone()
    if row is None:
        return Base(genesis_hash, 0)
    if not isinstance(row[0], bytes) or len(row[0]) != HASH_BYTES + _HEIGHT_BYTES:
        raise DamageError("the base is malformed")
    return Base(row[0][:-_HEIGHT_BYTES], int.from_bytes(row[0][-_HEIGHT_BYTES:], "big"))


def set_base(connection: sqlite3.Connection, base: Base) -> None:
    """Stand on another block from now on."""
    value = base.hash + base.height.to_bytes(_HEIGHT_BYTES, "big")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('base', ?)", (value,))


def prune(connection: sqlite3.Connection, base: Base, dead: Collection[bytes]) -> None:
    """Remove what is below the base, what is dead, and the certificates of older snapshots."""
    for old in snapshots_of(connection)[MAX_SNAPSHOTS:]:
        connection.execute(
            "UPDATE states SET certificate = NULL, digest = ? WHERE hash = ?",
            (sha256(old.state), old.hash),
        )
    connection.execute("DELETE FROM states WHERE height < ?", (base.height,))
    connection.execute("DELETE FROM canonical WHERE height <= ?", (base.height,))
    connection.execute("DELETE FROM blocks WHERE height <= ?", (base.height,))
    for table in ("states", "blocks"):
        connection.executemany(f"DELETE FROM {table} WHERE hash = ?", [(name,) for name in dead])
    set_base(connection, base)


def clear(connection: sqlite3.Connection) -> None:
    """Remove all blocks and states."""
    for table in ("states", "canonical", "blocks"):
        connection.execute(f"DELETE FROM {table}")


def _is_sound(data: object, certificate: object, digest: object) -> bool:
    both = isinstance(data, bytes) and isinstance(certificate, bytes)
    return both and sha256(data + certificate) == digest  # type: ignore[operator]
