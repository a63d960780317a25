"""Blocks, authorship and proof of work."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus.authorship import read_block
from bift_ros.consensus.blocks import (
    MAX_BLOCK_BYTES,
    MAX_NONCE,
    MIN_NONCE,
    Block,
    Body,
    Header,
    lower_median,
    sign_block,
)
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.exceptions import (
    BadBlockSignature,
    BlockTooLarge,
    BodyMismatch,
    FieldError,
    InvalidBlock,
    MalformedBlock,
    MissingWork,
    UnknownMiner,
)
from bift_ros.consensus.payloads import ModelCommit, ModelUpdate, Transfer, WithdrawFile
from bift_ros.consensus.proof_of_work import meets, search
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of

HEADER = Header(3, 1_700_000_000_000, bytes(32), bytes(range(32)), 0, "ab" * 20, 0, MIN_NONCE)


@pytest.fixture(scope="module")
def block(fleet: Any) -> Block:
    made: Block = fleet.model_block(fleet.with_task(), [0, 2, 4])
    return made


def test_round_trip(block: Block) -> None:
    data = block.to_bytes()
    again = Block.from_bytes(data)
    assert again == block
    assert again.to_bytes() == data
    assert again.hash == block.hash == hashlib.sha256(block.header.to_bytes()).digest()


@given(st.integers(MIN_NONCE, MAX_NONCE))
def test_the_nonce_is_the_last_eight_bytes(nonce: int) -> None:
    header = replace(HEADER, nonce=nonce)
    data = header.to_bytes()
    assert data[-8:] == nonce.to_bytes(8, "big")
    assert data[:-8] == HEADER.to_bytes()[:-8]
    assert Header.from_bytes(data) == header


@given(st.binary(min_size=32, max_size=32), st.integers(0, 64))
def test_work_counts_leading_zero_bits(digest: bytes, difficulty: int) -> None:
    digest = bytes(difficulty // 8) + digest[difficulty // 8 :]
    bits = f"{int.from_bytes(digest, 'big'):0256b}"
    assert meets(digest, difficulty) == (bits[:difficulty] == "0" * difficulty)


def test_sixteen_bits_are_four_hex_digits() -> None:
    assert meets(bytes.fromhex("0000ff" + "00" * 29), 16)
    assert not meets(bytes.fromhex("000100" + "00" * 29), 16)


@pytest.mark.parametrize("start", [MIN_NONCE, 2**40 - 5, MAX_NONCE - 3, 0])
def test_search_agrees_with_plain_hashing(start: int) -> None:
    header = replace(HEADER, difficulty=8)
    found = search(header, start, 100_000)
    assert found is not None
    assert meets(found.hash, 8)
    assert replace(found, nonce=header.nonce) == header
    nonce = max(start, MIN_NONCE)
    while not meets(replace(header, nonce=nonce).hash, 8):
        nonce = nonce + 1 if nonce < MAX_NONCE else MIN_NONCE
    assert found.nonce == nonce


def test_search_stops_after_its_attempts() -> None:
    header = replace(HEADER, difficulty=12)
    found = search(header, MIN_NONCE, 1_000_000)
    assert found is not None
    needed = found.nonce - MIN_NONCE + 1
    assert search(header, MIN_NONCE, needed) == found
    assert search(header, MIN_NONCE, needed - 1) is None
    assert search(header, MIN_NONCE, 0) is None


def test_reading_checks_authorship_first(fleet: Any, block: Block) -> None:
    assert read_block(block.to_bytes(), fleet.genesis) == block
    header, body = block.header, block.body
    lazy = Block(replace(header, nonce=header.nonce + 1), body, block.signature)
    while meets(lazy.hash, 4):
        lazy = replace(lazy, header=replace(lazy.header, nonce=lazy.header.nonce + 1))
    with pytest.raises(MissingWork):
        read_block(lazy.to_bytes(), fleet.genesis)
    with pytest.raises(BadBlockSignature):
        read_block(replace(block, signature=bytes(64)).to_bytes(), fleet.genesis)
    with pytest.raises(BodyMismatch):
        read_block(replace(block, body=Body(())).to_bytes(), fleet.genesis)
    stranger = KeyPair.from_seed(bytes(32))
    strange = search(replace(header, miner=stranger.address), MIN_NONCE, 10**6)
    assert strange is not None
    with pytest.raises(UnknownMiner):
        read_block(sign_block(stranger, strange, body).to_bytes(), fleet.genesis)
    # An unsigned garbage body is reported as unsigned: nothing looked inside.
    garbage = encode([header.to_bytes(), b"\xff" * 50, bytes(64)])
    with pytest.raises(BadBlockSignature):
        read_block(garbage, fleet.genesis)


@given(data=st.data())
def test_a_changed_byte_is_refused(fleet: Any, block: Block, data: st.DataObject) -> None:
    changed = bytearray(block.to_bytes())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidBlock):
        read_block(bytes(changed), fleet.genesis)


@given(st.binary(max_size=200))
def test_any_bytes_give_one_error(data: bytes) -> None:
    with pytest.raises(MalformedBlock):
        Block.from_bytes(data)


def test_a_block_has_a_bound(fleet: Any) -> None:
    with pytest.raises(BlockTooLarge):
        Block.from_bytes(bytes(MAX_BLOCK_BYTES + 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"height": 0},
        {"timestamp": -1},
        {"previous_hash": bytes(31)},
        {"model_flag": 2},
        {"model_flag": True},
        {"miner": "x" * 40},
        {"difficulty": 65},
        {"nonce": MIN_NONCE - 1},
        {"nonce": MAX_NONCE + 1},
    ],
)
def test_headers_have_bounds(changes: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match=next(iter(changes))):
        replace(HEADER, **changes)


def test_iterations_are_counted_from_one(block: Block) -> None:
    info = block.body.model_info
    assert info is not None
    for iteration in (0, info.total_iter + 1):
        with pytest.raises(FieldError, match="current_iter"):
            replace(info, current_iter=iteration)
    assert replace(info, current_iter=info.total_iter).current_iter == info.total_iter


def test_what_a_block_ends_is_told_by_its_flag_and_transactions(fleet: Any, block: Block) -> None:
    assert block.learning is ModelUpdate
    assert any(isinstance(tx.payload, ModelUpdate) for tx in block.body.transactions)
    plain = fleet.block(fleet.start, [fleet.sign(0, WithdrawFile("map"))])
    assert plain.learning is None
    commit = fleet.sign(1, ModelCommit("lights", 1, cid_of(b"base"), bytes(32), bytes(32)))
    assert replace(plain, body=Body((*plain.body.transactions, commit), None)).learning is (
        ModelCommit
    )


def test_contributors_are_sorted_and_distinct(block: Block) -> None:
    info = block.body.model_info
    assert info is not None
    for contributors in (info.contributors[::-1], info.contributors[:1] * 2, ()):
        with pytest.raises(FieldError, match="contributors"):
            replace(info, contributors=contributors)


def test_bodies_that_are_none(fleet: Any, block: Block) -> None:
    tx = fleet.sign(0, Transfer(fleet.address(1), 1)).to_bytes()
    info = [1, 2, 3]
    for body in ([], [[tx]], [[1], None], [["x"], None], [[tx], info], [[tx[:-1]], None], [tx, 0]):
        data = encode([block.header.to_bytes(), encode(body), block.signature])
        with pytest.raises(MalformedBlock, match="no body"):
            Block.from_bytes(data)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_lower_median(values: list[float]) -> None:
    median = lower_median(values)
    assert median in values
    assert 2 * sum(v < median for v in values) < len(values)
    assert 2 * sum(v > median for v in values) <= len(values)
