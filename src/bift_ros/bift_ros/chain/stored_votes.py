"""The votes in a chain database: quorums, and the vehicle's own newest ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from bift_ros.chain.interface import MAX_MEMBERSHIP_CERTIFICATES, MAX_QUORUMS
from bift_ros.chain.store_check import DamageError
from bift_ros.consensus.encoding import encode, sha256
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Vote

SCHEMA = """
CREATE TABLE quorums (
    number INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL,
    round INTEGER NOT NULL,
    statement BLOB NOT NULL,     -- what it is for
    lasting INTEGER NOT NULL,    -- 1 where it is kept longer than others
    data BLOB NOT NULL,          -- its canonical bytes
    digest BLOB NOT NULL,        -- their SHA-256
    UNIQUE (stage, statement)
);
CREATE TABLE votes (
    stage INTEGER PRIMARY KEY,
    data BLOB NOT NULL,
    digest BLOB NOT NULL
);
"""
QUORUMS = "SELECT data FROM quorums WHERE stage = ? ORDER BY round, number"
VOTES = "SELECT data FROM votes ORDER BY stage"


def keep_quorum(connection: sqlite3.Connection, quorum: Quorum, lasting: bool) -> None:
    """Add a quorum, and remove what is too much of its stage."""
    stage, data = quorum.stage.value, quorum.to_bytes()
    connection.execute(
        "INSERT OR IGNORE INTO quorums (stage, round, statement, lasting, data, digest) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            stage,
            quorum.statement.round,
            encode(quorum.statement.items),
            lasting,
            data,
            sha256(data),
        ),
    )
    rows = connection.execute(
        "SELECT number, lasting FROM quorums WHERE stage = ? ORDER BY round DESC, number DESC",
        (stage,),
    ).fetchall()
    older = rows[MAX_QUORUMS:]
    kept = [number for number, lasts in older if lasts][:MAX_MEMBERSHIP_CERTIFICATES]
    gone = [(number,) for number, _ in older if number not in kept]
    connection.executemany("DELETE FROM quorums WHERE number = ?", gone)


def keep_votes(connection: sqlite3.Connection, votes: Iterable[Vote]) -> None:
    """Put the vehicle's own votes in place of its last ones of their stages."""
    connection.executemany(
        "INSERT OR REPLACE INTO votes VALUES (?, ?, ?)",
        [(vote.stage.value, vote.to_bytes(), sha256(vote.to_bytes())) for vote in votes],
    )


def check_votes(connection: sqlite3.Connection) -> None:
    """Check every row's hash and form; raises DamageError."""
    try:
        rows = connection.execute("SELECT stage, round, data, digest FROM quorums")
        for stage, round_, data, digest in rows:
            quorum = Quorum.from_bytes(_unaltered(data, digest))
            if (stage, round_) != (quorum.stage.value, quorum.statement.round):
                raise DamageError("a quorum is not what its row says")
        _own_votes(connection)
    except ChainError as error:
        raise DamageError(f"a row holds no votes: {error}") from error


def salvaged(path: Path) -> list[Vote]:
    """Give what can be read of the vehicle's own votes in a damaged database."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return _own_votes(connection)
    except (sqlite3.Error, DamageError, ChainError):
        return []


def _own_votes(connection: sqlite3.Connection) -> list[Vote]:
    votes = []
    for stage, data, digest in connection.execute("SELECT stage, data, digest FROM votes"):
        vote = Vote.from_bytes(_unaltered(data, digest))
        if vote.stage.value != stage:
            raise DamageError("a vote is not what its row says")
        votes.append(vote)
    return votes


def _unaltered(data: object, digest: object) -> bytes:
    if not isinstance(data, bytes) or sha256(data) != digest:
        raise DamageError("the bytes of votes were altered")
    return data
