"""Answers to catch-up: nothing but what was asked for, and nothing decoded that nobody signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission.wire import STRANGER, WORLD, block, said
from bift_ros.admission import answers
from bift_ros.admission.answers import (
    BLOCKS_PER_ANSWER,
    HEADERS_PER_ANSWER,
    KEYS_PER_ANSWER,
    answer_bytes,
    read_anonymous_blocks,
    read_blocks,
    read_headers,
    read_keys,
)
from bift_ros.consensus import authorship
from bift_ros.consensus.blocks import Block, Body
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.exceptions import (
    BadSignature,
    BodyMismatch,
    InvalidBlock,
    InvalidTransaction,
    MalformedBlock,
    UnknownMiner,
)
from bift_ros.consensus.group_key import make_group_key
from bift_ros.consensus.transactions import sign_transaction

MEMBERS = WORLD.genesis.by_address
BLOCKS = [block(miner=number) for number in range(3)]
KEY = make_group_key(bytes(32), bytes(32), [WORLD.keys[1].public_key])
GIVEN = said(1, 0, KEY)


def read(data: bytes, asked: list[Block] = BLOCKS) -> list[Block]:
    names = [each.hash for each in asked]
    return list(read_blocks(data, names, WORLD.genesis, MEMBERS))


def test_what_was_asked_for_is_read() -> None:
    assert read(answer_bytes(BLOCKS)) == BLOCKS
    assert read(answer_bytes(BLOCKS[1:])) == BLOCKS[1:]
    headers = tuple(each.signed_header for each in BLOCKS)
    assert read_headers(answer_bytes(headers)) == headers
    assert read_keys(answer_bytes([GIVEN]), WORLD.genesis, MEMBERS) == (GIVEN,)
    assert list(read_anonymous_blocks(answer_bytes(BLOCKS))) == BLOCKS


def test_what_nobody_asked_for_ends_the_answer() -> None:
    came = read_blocks(
        answer_bytes([BLOCKS[0], BLOCKS[2], BLOCKS[1]]),
        [BLOCKS[0].hash, BLOCKS[1].hash],
        WORLD.genesis,
        MEMBERS,
    )
    assert next(came) == BLOCKS[0]
    with pytest.raises(InvalidBlock, match="nobody asked"):
        next(came)
    with pytest.raises(StopIteration):
        next(came)


def test_a_block_comes_once() -> None:
    with pytest.raises(InvalidBlock, match="nobody asked"):
        read(answer_bytes([BLOCKS[0], BLOCKS[0]]))


def test_no_body_is_decoded_before_work_and_signature_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authorship, "parse_body", lambda _: pytest.fail("decoded"))
    true = BLOCKS[0]
    forged = replace(true, signature=bytes(64))
    other = replace(true, body=Body((said(2),)))
    with pytest.raises(InvalidBlock, match="not signed"):
        read(answer_bytes([forged]), [true])
    with pytest.raises(BodyMismatch):
        read(answer_bytes([other]), [true])
    with pytest.raises(UnknownMiner):
        list(read_blocks(answer_bytes([true]), [true.hash], WORLD.genesis, {}))
    with pytest.raises(BodyMismatch):
        list(read_anonymous_blocks(answer_bytes([other])))


@pytest.mark.parametrize(
    "data", [b"", b"\x80\0", encode([1]), b"\x9a\xff\xff\xff\xff", b"\x81\x41"]
)
def test_what_is_no_list_of_byte_strings_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBlock):
        read_headers(data)
    with pytest.raises(MalformedBlock):
        read(data)
    with pytest.raises(InvalidTransaction):
        read_keys(data, WORLD.genesis, MEMBERS)


def test_more_than_was_asked_for_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "byte_strings", lambda *_: pytest.fail("it was read"))
    for read_it, most in (
        (read_headers, answers.MAX_HEADERS_BYTES),
        (read, answers.MAX_BLOCKS_BYTES),
    ):
        with pytest.raises(MalformedBlock, match="are read"):
            read_it(bytes(most + 1))
    with pytest.raises(InvalidTransaction, match="are read"):
        read_keys(bytes(answers.MAX_KEYS_BYTES + 1), WORLD.genesis, MEMBERS)


def test_more_items_than_an_answer_has_are_not_read() -> None:
    with pytest.raises(MalformedBlock, match="more than"):
        read_headers(encode([b""] * (HEADERS_PER_ANSWER + 1)))
    with pytest.raises(MalformedBlock, match="more than"):
        read(encode([b""] * (BLOCKS_PER_ANSWER + 1)))
    with pytest.raises(InvalidTransaction, match="more than"):
        read_keys(encode([b""] * (KEYS_PER_ANSWER + 1)), WORLD.genesis, MEMBERS)


def test_a_key_that_no_member_gave_is_refused() -> None:
    forged = sign_transaction(STRANGER, 0, KEY, WORLD.genesis.hash)
    with pytest.raises(InvalidTransaction, match="not a member"):
        read_keys(answer_bytes([forged]), WORLD.genesis, MEMBERS)
    with pytest.raises(BadSignature):
        read_keys(answer_bytes([replace(GIVEN, sequence=1)]), WORLD.genesis, MEMBERS)
    with pytest.raises(InvalidTransaction, match="gives no key"):
        read_keys(answer_bytes([said(1)]), WORLD.genesis, MEMBERS)
