"""The chain on disk: one SQLite database in WAL mode, one transaction per accepted block.

It holds every accepted block, side branches included, and which of them form the chain.
`synchronous=FULL` makes a block durable before `accept` returns, so `kill -9` or a power cut
loses no accepted block. On opening, every row is hashed and the structure checked; a damaged
database is moved aside and a fresh one started, which the peer fills again from the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bift_ros.chain.exceptions import StoreError, WrongGenesis
from bift_ros.chain.interface import MAX_EVIDENCE
from bift_ros.chain.store_check import DamageError, check_blocks, check_pages
from bift_ros.consensus.blocks import Block, Header, SignedHeader, parse_envelope
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.genesis import Genesis

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,  -- the order of acceptance: parents come before children
    hash BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL,          -- the block's canonical bytes
    digest BLOB NOT NULL         -- their SHA-256: the block's hash does not cover its signature
);
CREATE TABLE canonical (height INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE notes (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE evidence (
    number INTEGER PRIMARY KEY,
    first BLOB NOT NULL UNIQUE,  -- two signed headers of one miner on one parent
    second BLOB NOT NULL
);
"""
_CANONICAL = (
    "SELECT data FROM canonical JOIN blocks USING (hash) WHERE height >= ? ORDER BY height LIMIT ?"
)


class ChainStore:
    """The block database of one vehicle, a `Store`; used by one thread at a time."""

    damage: str | None
    """What was wrong with the database that was found and where it lies now, or None."""

    def __init__(self, path: str | Path, genesis: Genesis, read_only: bool = False) -> None:
        """Open or make the database at `path`.

        Raises WrongGenesis where it belongs to another chain, StoreError where it can't be
        opened, is used by another writer or, with `read_only`, is damaged.
        """
        self._path = Path(path)
        self._genesis = genesis
        self._read_only = read_only
        self.damage = None
        try:
            self._connection = self._open()
        except DamageError as error:
            if read_only:
                raise StoreError(
                    f"the chain database {path} is damaged: {error}; its vehicle rebuilds it "
                    "when it starts"
                ) from error
            self._start_afresh(str(error))

    def close(self) -> None:
        """Close the database; nothing is pending."""
        self._connection.close()

    # --- writing ----------------------------------------------------------------------------

    def accept(self, block: Block, tip_hash: bytes) -> None:
        """Add `block` and make `tip_hash` the tip, both or neither, durably.

        The parent must be in the store, or be the genesis. Raises StoreError.
        """
        with self._transaction():
            self._insert(block)
            self._move_tip(tip_hash)

    def add(self, block: Block) -> None:
        """Add `block` to the tree and leave the tip."""
        with self._transaction():
            self._insert(block)

    def set_tip(self, tip_hash: bytes) -> None:
        """Make the branch that ends in `tip_hash` the chain."""
        with self._transaction():
            self._move_tip(tip_hash)

    def set_note(self, key: str, value: bytes) -> None:
        """Keep a value of the vehicle's own under a name, durably; the newest counts."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def add_evidence(self, first: bytes, second: bytes) -> None:
        """Keep the proof of an equivocation, two `SignedHeader`s' bytes; bounded, once for each."""
        with self._transaction():
            self._connection.execute(
                "INSERT OR IGNORE INTO evidence (first, second) SELECT ?, ? "
                "WHERE (SELECT count(*) FROM evidence) < ?",
                (*sorted((first, second)), MAX_EVIDENCE),
            )

    def discard(self, reason: str) -> None:
        """Move the database aside as damaged and start a fresh one."""
        self._connection.close()
        self._start_afresh(reason)

    # --- reading ----------------------------------------------------------------------------

    @property
    def tip(self) -> bytes:
        """The hash of the chain's last block; the genesis' where there is none."""
        row = self._read("SELECT hash FROM canonical ORDER BY height DESC LIMIT 1")
        return row[0][0] if row else self._genesis.hash

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree; the genesis counts."""
        if block_hash == self._genesis.hash:
            return True
        return bool(self._read("SELECT 1 FROM blocks WHERE hash = ?", block_hash))

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree, or None."""
        rows = self._read("SELECT data FROM blocks WHERE hash = ?", block_hash)
        return Block.from_bytes(rows[0][0]) if rows else None

    def header(self, block_hash: bytes) -> Header | None:
        """Give a block's header, or None."""
        rows = self._read("SELECT data FROM blocks WHERE hash = ?", block_hash)
        return parse_envelope(rows[0][0])[0] if rows else None

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height` (at least 1)."""
        rows = self._read(_CANONICAL, from_height, limit)
        return [Block.from_bytes(data) for (data,) in rows]

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""
        rows = self._read(_CANONICAL, from_height, limit)
        envelopes = (parse_envelope(data) for (data,) in rows)
        return [SignedHeader(header, signature) for header, _, signature in envelopes]

    def note(self, key: str) -> bytes | None:
        """Give what was kept under a name, or None."""
        rows = self._read("SELECT value FROM notes WHERE key = ?", key)
        return rows[0][0] if rows else None

    def evidence(self) -> list[tuple[SignedHeader, SignedHeader]]:
        """Give the equivocations found, in the order in which they were."""
        rows: list[Any] = self._read("SELECT first, second FROM evidence ORDER BY number")
        return [(SignedHeader.from_bytes(a), SignedHeader.from_bytes(b)) for a, b in rows]

    def blocks(self) -> Iterator[Block]:
        """Give every block of the tree in the order of acceptance, parents before children."""
        for (number,) in self._read("SELECT number FROM blocks ORDER BY number"):
            ((data,),) = self._read("SELECT data FROM blocks WHERE number = ?", number)
            yield Block.from_bytes(data)

    # --- inside -----------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            if self._read_only:
                connection = sqlite3.connect(
                    f"{self._path.absolute().as_uri()}?mode=ro",
                    uri=True,
                    isolation_level=None,
                    check_same_thread=False,
                )
            else:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(
                    self._path, isolation_level=None, check_same_thread=False
                )
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                self._create(connection)
            # A damaged cell may claim to be text; its bytes are judged by their hash all the same.
            connection.text_factory = bytes
            self._check(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            raise self._explain(error) from error
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            return
        # One transaction: a database is either empty or complete, whenever we are killed.
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
        connection.execute("INSERT INTO meta VALUES ('genesis', ?)", (self._genesis.hash,))
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        genesis_hash = check_pages(connection)
        if genesis_hash != self._genesis.hash:
            raise WrongGenesis(
                f"the chain database {self._path} belongs to another chain (genesis "
                f"{genesis_hash.hex()[:16]}…, not {self._genesis.hash.hex()[:16]}…); "
                "give this chain its own path, or move that file away"
            )
        check_blocks(connection, genesis_hash)

    def _start_afresh(self, reason: str) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        number = 1
        while aside.exists():
            number += 1
            aside = self._path.with_name(f"{self._path.name}.damaged-{number}")
        try:
            for suffix in ("-wal", "-shm"):
                side_file = self._path.with_name(self._path.name + suffix)
                if side_file.exists():
                    side_file.replace(aside.with_name(aside.name + suffix))
            self._path.replace(aside)
        except OSError as error:
            raise StoreError(
                f"the chain database {self._path} is damaged ({reason}) and can't be moved "
                f"aside: {error.strerror}"
            ) from error
        self.damage = f"{self._path} was damaged ({reason}); it is kept as {aside.name}"
        self._connection = self._open()

    def _explain(self, error: BaseException) -> BaseException:
        # SQLite's "corrupt" and "not a database" come as DatabaseError itself; its subclasses
        # stand for locks, permissions and full disks, which say nothing about the content.
        if type(error) is sqlite3.DatabaseError:
            return DamageError(str(error))
        if isinstance(error, (sqlite3.Error, OSError)):
            return StoreError(f"can't use the chain database {self._path}: {error}")
        return error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"can't write to {self._path}: {error}") from error

    def _insert(self, block: Block) -> None:
        if not self.has(block.header.previous_hash):
            raise StoreError(f"the parent of block {block.hash.hex()[:16]}… is not in the store")
        self._connection.execute(
            "INSERT OR IGNORE INTO blocks (hash, data, digest) VALUES (?, ?, ?)",
            (block.hash, block.to_bytes(), sha256(block.to_bytes())),
        )

    def _move_tip(self, tip_hash: bytes) -> None:
        """Rewrite the chain's rows from the fork upwards."""
        branch: list[tuple[int, bytes]] = []
        block_hash, fork_height = tip_hash, 0
        while block_hash != self._genesis.hash:
            header = self.header(block_hash)
            if header is None:
                raise StoreError(f"the block {block_hash.hex()[:16]}… is not in the store")
            if self._read(
                "SELECT 1 FROM canonical WHERE height = ? AND hash = ?", header.height, block_hash
            ):
                fork_height = header.height
                break
            branch.append((header.height, block_hash))
            block_hash = header.previous_hash
        self._connection.execute("DELETE FROM canonical WHERE height > ?", (fork_height,))
        self._connection.executemany("INSERT INTO canonical VALUES (?, ?)", branch)

    def _read(self, query: str, *arguments: object) -> list[tuple[bytes]]:
        try:
            return self._connection.execute(query, arguments).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"can't read {self._path}: {error}") from error
