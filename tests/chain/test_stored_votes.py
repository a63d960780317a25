"""Votes in a chain database that was damaged: a vehicle must not vote twice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.store import ChainStore
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Stage, Statement, Vote, sign_vote


@pytest.fixture
def cast(fleet: Any, tmp_path: Path) -> list[Vote]:
    """The votes in a database, which holds a quorum too."""
    said = Statement(3, 1, bytes(32), bytes(32), 0, fleet.genesis.hash)
    votes = [sign_vote(fleet.keys[0], fleet.genesis.hash, stage, said) for stage in Stage]
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        store.cast(*votes)
        store.keep_quorum(Quorum.of(votes[:1]))
        block = fleet.block(fleet.start)
        store.accept(block, block.hash)
    return votes


def damaged(path: Path, fleet: Any, statement: str) -> dict[Stage, Vote]:
    """The votes in what is opened after a change to the database."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.damage is not None
        assert store.tip == fleet.genesis.hash
        assert store.quorums(Stage.PREVOTE) == []
        return store.votes()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blocks SET data = zeroblob(300)",
        "UPDATE quorums SET data = zeroblob(300)",
        "UPDATE quorums SET round = 9",
        "UPDATE quorums SET data = 'quorum'",
        "DROP TABLE canonical",
    ],
)
def test_own_votes_outlive_the_damage_of_all_else(
    fleet: Any, cast: list[Vote], tmp_path: Path, statement: str
) -> None:
    votes = damaged(tmp_path / "chain.db", fleet, statement)
    assert list(votes.values()) == cast


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE votes SET data = zeroblob(100) WHERE stage = 1",
        "UPDATE votes SET stage = 3 WHERE stage = 1",
        "DROP TABLE votes",
    ],
)
def test_altered_votes_are_damage(
    fleet: Any, cast: list[Vote], tmp_path: Path, statement: str
) -> None:
    assert damaged(tmp_path / "chain.db", fleet, statement) == {}


def test_a_database_that_the_chain_discards_leaves_the_votes(
    fleet: Any, cast: list[Vote], tmp_path: Path
) -> None:
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        store.discard("a test")
        assert list(store.votes().values()) == cast
