"""The SQLite database of a vehicle's chain: opened, checked, moved aside where it is damaged.

It is in WAL mode. `synchronous=FULL` makes a transaction durable before it returns, so `kill -9` or
a power cut loses nothing that was written. On opening, every row is hashed and the structure
checked; a damaged database is moved aside and a fresh one started, which the peer fills again from
the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.chain import stored_states, stored_votes
from bift_ros.chain.exceptions import StoreError, WrongGenesis
from bift_ros.chain.store_check import DamageError, check_blocks, check_pages
from bift_ros.consensus.genesis import Genesis

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,  -- the order of acceptance: parents come before children
    hash BLOB NOT NULL UNIQUE,
    height INTEGER NOT NULL,
    data BLOB NOT NULL,          -- the block's canonical bytes
    standing BLOB,               -- its branch's weight, work and epoch
    digest BLOB NOT NULL         -- SHA-256 of both: the block's hash does not cover its signature
);
CREATE INDEX heights ON blocks (height);
CREATE TABLE canonical (height INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE notes (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE evidence (
    number INTEGER PRIMARY KEY,
    first BLOB NOT NULL UNIQUE,  -- two signed headers of one miner on one parent
    second BLOB NOT NULL
);
{stored_states.SCHEMA}{stored_votes.SCHEMA}"""


class ChainDatabase:
    """The database and what reads and writes go through; used by one thread at a time."""

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

    def discard(self, reason: str) -> None:
        """Move the database aside as damaged and start a fresh one with the vehicle's own votes."""
        self._connection.close()
        self._start_afresh(reason)

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
        check_blocks(connection, stored_states.base_of(connection, genesis_hash))
        stored_votes.check_votes(connection)

    def _start_afresh(self, reason: str) -> None:
        votes = stored_votes.salvaged(self._path)
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
        with self._transaction():
            stored_votes.keep_votes(self._connection, votes)

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

    def _read(self, query: str, *arguments: object) -> list[tuple[bytes]]:
        with self._reading():
            return self._connection.execute(query, arguments).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"can't read {self._path}: {error}") from error
