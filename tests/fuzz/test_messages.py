"""ROS messages with any field set to anything: what they carry is checked all the same."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import corpus

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.consensus.authorship import read_block
from bift_ros.consensus.exceptions import (
    BadBlockSignature,
    BadSignature,
    BodyMismatch,
    MalformedBlock,
    MalformedTransaction,
    MissingWork,
    UnknownMiner,
    UnknownSender,
)
from bift_ros.consensus.transactions import check_signature
from bift_ros.nodes import convert

pytestmark = pytest.mark.ros

_TEXTS = ["", "a" * 40, "0" * 5_000, "é\u202e\U0001f697", "lights\n", corpus.CID, "mixed"]
_FLOATS = [0.0, -0.0, 1.0, 1.5, float("nan"), float("inf"), 5e-324, -1.0]
_WIDTHS = {"uint8": 8, "uint32": 32, "uint64": 64, "int64": 63, "int32": 31}


def change(rng: Random, message: Any) -> None:
    """Set one field, somewhere inside, to a value that its type can carry."""
    fields = message.get_fields_and_field_types()
    name = rng.choice(list(fields))
    kind, value = fields[name], getattr(message, name)
    if isinstance(value, np.ndarray):
        setattr(message, name, np.frombuffer(rng.randbytes(len(value)), np.uint8))
    elif isinstance(value, str):
        setattr(message, name, rng.choice(_TEXTS))
    elif isinstance(value, bool):
        setattr(message, name, not value)
    elif isinstance(value, float):
        setattr(message, name, rng.choice(_FLOATS))
    elif isinstance(value, int):
        top = 2 ** _WIDTHS[kind] - 1
        setattr(message, name, rng.choice((0, 1, top, top // 2, (value + 1) & top)))
    elif hasattr(value, "get_fields_and_field_types"):
        change(rng, value)
    elif kind.startswith("sequence<uint8"):
        setattr(message, name, list(rng.randbytes(rng.randrange(33))))
    elif len(value) and hasattr(value[0], "get_fields_and_field_types"):
        if rng.random() < 0.2:
            setattr(message, name, [])
        else:
            change(rng, rng.choice(value))
    elif len(value):
        setattr(message, name, rng.choice((value[:-1], value[::-1], [rng.choice(_TEXTS)])))


def over_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


SIGNED = corpus.signed()
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=300)
@given(seeds, st.integers(1, 3))
def test_a_changed_transaction_message_is_refused_or_unsigned(seed: int, changes: int) -> None:
    rng = Random(seed)
    message = convert.transaction_to_message(rng.choice(corpus.transactions()))
    for _ in range(changes):
        change(rng, message)
    with suppress(MalformedTransaction, UnknownSender, BadSignature):
        found = convert.transaction_from_message(over_the_wire(message))
        genesis = corpus.world().genesis
        check_signature(found, genesis, genesis.by_address)
        assert found.to_bytes() in SIGNED.transactions


@settings(max_examples=200)
@given(seeds, st.integers(1, 3))
def test_a_changed_block_message_is_refused_or_unsigned(seed: int, changes: int) -> None:
    rng = Random(seed)
    message = convert.block_to_message(rng.choice(corpus.blocks()))
    for _ in range(changes):
        change(rng, message)
    with suppress(MalformedBlock, MissingWork, UnknownMiner, BadBlockSignature, BodyMismatch):
        found = convert.block_from_message(over_the_wire(message))
        data = read_block(found.to_bytes(), corpus.world().genesis).to_bytes()
        assert data in SIGNED.blocks
