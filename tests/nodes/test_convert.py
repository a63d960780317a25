"""Consensus objects through ROS messages and their CDR bytes: nothing changes, nothing crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.chain.blocks import MAX_NONCE, MIN_NONCE, Block, Body, Header, ModelInfo, sign_block
from bift_ros.chain.exceptions import MalformedBlock, MalformedTransaction
from bift_ros.chain.transactions import (
    MAX_ITERATIONS,
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    Transaction,
    Transfer,
    sign_transaction,
    verify_signature,
)
from bift_ros.identity.keys import KeyPair, verify
from bift_ros.nodes import convert
from bift_ros.pofl.aggregate import RULES
from bift_ros.storage.cid import cid_of

pytestmark = pytest.mark.ros

KEY = KeyPair.from_seed(bytes(32))
GENESIS_HASH = bytes(range(32))
CID = cid_of(b"a file")

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
cids = st.binary(max_size=8).map(cid_of)
addresses = st.binary(min_size=32, max_size=32).map(lambda s: KeyPair.from_seed(s).address)
hashes = st.binary(min_size=32, max_size=32)
iterations = st.integers(1, MAX_ITERATIONS)
accuracies = st.floats(0.0, 1.0).map(abs)
int63 = st.integers(0, 2**63 - 1)

payloads: dict[str, st.SearchStrategy[Payload]] = {
    "transfer": st.builds(Transfer, addresses, st.integers(1, 2**63 - 1)),
    "propose_task": st.builds(
        ProposeTask,
        model_id=names,
        init_cid=cids,
        total_iter=iterations,
        rule=st.sampled_from(RULES),
        architecture=st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True),
        local_epochs=st.integers(1, 10_000),
        batch_size=st.integers(1, 2**20),
        learning_rate=st.floats(1e-12, 1e3),
        optimizer=st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True),
    ),
    "model_commit": st.builds(ModelCommit, names, iterations, cids, hashes),
    "model_update": st.builds(
        ModelUpdate,
        model_id=names,
        iteration=iterations,
        base_cid=cids,
        cid=cids,
        accuracy=accuracies,
        sample_count=st.integers(1, 2**24),
        salt=st.binary(max_size=32),
    ),
}
transactions = st.builds(
    lambda sequence, payload: sign_transaction(KEY, sequence, payload, GENESIS_HASH),
    int63,
    st.one_of(*payloads.values()),
)


@st.composite
def model_infos(draw: st.DrawFn) -> ModelInfo:
    total = draw(iterations)
    return ModelInfo(
        model_id=draw(names),
        init_cid=draw(cids),
        global_cid=draw(cids),
        total_iter=total,
        current_iter=draw(st.integers(1, total)),
        from_addr=draw(addresses),
        accuracy=draw(accuracies),
        rule=draw(st.sampled_from(RULES)),
        contributors=tuple(sorted(draw(st.sets(addresses, min_size=1, max_size=4)))),
    )


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    body = Body(
        tuple(draw(st.lists(transactions, max_size=3))), draw(st.none() | model_infos())
    )  # fmt: skip
    header = Header(
        index=draw(st.integers(1, 2**63 - 1)),
        timestamp=draw(int63),
        previous_hash=draw(hashes),
        body_hash=body.hash,
        model_flag=int(body.model_info is not None),
        miner=KEY.address,
        difficulty=draw(st.integers(0, 64)),
        nonce=draw(st.integers(MIN_NONCE, MAX_NONCE)),
    )
    return sign_block(KEY, header, body)


def over_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("kind", payloads)
@given(data=st.data(), sequence=int63)
def test_a_transaction_survives_the_wire(kind: str, data: st.DataObject, sequence: int) -> None:
    sent = sign_transaction(KEY, sequence, data.draw(payloads[kind]), GENESIS_HASH)
    message = over_the_wire(convert.transaction_to_message(sent, "http://10.0.0.1:1"))
    assert len(getattr(message, kind)) == 1
    assert message.provider == "http://10.0.0.1:1"
    received = convert.transaction_from_message(message)
    assert received == sent
    assert received.hash == sent.hash
    assert verify_signature(received, KEY.public_key, GENESIS_HASH)


@given(transactions)
def test_messages_that_never_were_serialized_convert_too(sent: Transaction) -> None:
    assert convert.transaction_from_message(convert.transaction_to_message(sent)) == sent


@given(blocks())
def test_a_block_survives_the_wire(sent: Block) -> None:
    message = over_the_wire(convert.block_to_message(sent, "http://10.0.0.1:1"))
    assert message.hash == sent.hash.hex()
    assert message.provider == "http://10.0.0.1:1"
    received = convert.block_from_message(message)
    assert received == sent
    assert received.to_bytes() == sent.to_bytes()
    assert verify(KEY.public_key, received.signature, received.hash)


def update_message() -> msg.Transaction:
    payload = ModelUpdate("lights", 1, CID, CID, 0.5, 10)
    return convert.transaction_to_message(sign_transaction(KEY, 0, payload, GENESIS_HASH))


def propose_message() -> msg.Transaction:
    payload = ProposeTask("lights", CID, 3, "mixed", "a:b", 1, 1, 0.1, "sgd")
    return convert.transaction_to_message(sign_transaction(KEY, 0, payload, GENESIS_HASH))


def block_message() -> msg.Block:
    update = sign_transaction(KEY, 0, ModelUpdate("lights", 1, CID, CID, 0.5, 10), GENESIS_HASH)
    info = ModelInfo("lights", CID, CID, 2, 1, KEY.address, 0.5, "krum", (KEY.address,))
    body = Body((update,), info)
    header = Header(1, 1, bytes(32), body.hash, 1, KEY.address, 0, MIN_NONCE)
    return convert.block_to_message(sign_block(KEY, header, body))


def setting(where: str, value: object) -> Callable[[Any], None]:
    """Set one field, by its path: `model_update[0].cid`."""

    def change(message: Any) -> None:
        *path, last = where.split(".")
        for part in path:
            name, _, index = part.partition("[")
            message = getattr(message, name)
            if index:
                message = message[int(index[:-1])]
        setattr(message, last, value)

    return change


BAD_UPDATES = {
    "no payload": setting("model_update", []),
    "two payloads": setting("transfer", [msg.Transfer(recipient=KEY.address, amount=1)]),
    "no sender": setting("sender", ""),
    "a long sender": setting("sender", "a" * 1_000_000),
    "a sequence over 63 bits": setting("sequence", 2**63),
    "a name with capitals": setting("model_update[0].model_id", "Lights"),
    "a long name": setting("model_update[0].model_id", "a" * 65),
    "iteration 0": setting("model_update[0].iteration", 0),
    "too high an iteration": setting("model_update[0].iteration", MAX_ITERATIONS + 1),
    "no CID": setting("model_update[0].cid", "bafybeinot"),
    "a long CID": setting("model_update[0].base_cid", "b" * 1_000_000),
    "a NaN accuracy": setting("model_update[0].accuracy", float("nan")),
    "a high accuracy": setting("model_update[0].accuracy", 1.0001),
    "a negative zero": setting("model_update[0].accuracy", -0.0),
    "no samples": setting("model_update[0].sample_count", 0),
    "too many samples": setting("model_update[0].sample_count", 2**32 - 1),
}
BAD_PROPOSALS = {
    "an unknown rule": setting("propose_task[0].rule", "median"),
    "an infinite rate": setting("propose_task[0].learning_rate", float("inf")),
    "a rate of 0": setting("propose_task[0].learning_rate", 0.0),
    "no epochs": setting("propose_task[0].local_epochs", 0),
    "a shell command": setting("propose_task[0].architecture", "$(reboot)"),
}
BAD_BLOCKS = {
    "index 0": setting("header.index", 0),
    "an index over 63 bits": setting("header.index", 2**64 - 1),
    "a time before 1970": setting("header.timestamp", -1),
    "no miner": setting("header.miner", ""),
    "too high a difficulty": setting("header.difficulty", 255),
    "a low nonce": setting("header.nonce", 1),
    "a NaN accuracy": setting("model_info[0].accuracy", float("nan")),
    "no contributors": setting("model_info[0].contributors", []),
    "a contributor twice": setting("model_info[0].contributors", [KEY.address] * 2),
    "too many contributors": setting("model_info[0].contributors", [KEY.address] * 100_000),
    "an iteration past the end": setting("model_info[0].current_iter", 3),
    "a malformed transaction": setting("transactions[0].sender", "nobody"),
    "an empty transaction": setting("transactions", [msg.Transaction()]),
}


@pytest.mark.parametrize("fault", BAD_UPDATES)
def test_a_malformed_update_is_refused(fault: str) -> None:
    message = update_message()
    BAD_UPDATES[fault](message)
    with pytest.raises(MalformedTransaction, match=r"no transaction: .+"):
        convert.transaction_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_PROPOSALS)
def test_a_malformed_proposal_is_refused(fault: str) -> None:
    message = propose_message()
    BAD_PROPOSALS[fault](message)
    with pytest.raises(MalformedTransaction, match=r"no transaction: .+"):
        convert.transaction_from_message(over_the_wire(message))


@pytest.mark.parametrize("fault", BAD_BLOCKS)
def test_a_malformed_block_is_refused(fault: str) -> None:
    message = block_message()
    BAD_BLOCKS[fault](message)
    with pytest.raises(MalformedBlock, match=r"no block: .+") as caught:
        convert.block_from_message(over_the_wire(message))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("kind", [msg.Transaction, msg.Block])
def test_empty_messages_are_refused(kind: Any) -> None:
    if kind is msg.Block:
        with pytest.raises(MalformedBlock):
            convert.block_from_message(over_the_wire(kind()))
    else:
        with pytest.raises(MalformedTransaction):
            convert.transaction_from_message(over_the_wire(kind()))


def test_text_that_is_not_utf8_on_the_wire_is_refused() -> None:
    data = serialize_message(update_message())
    sender = KEY.address.encode()
    broken = data.replace(sender, b"\xff" + sender[1:])
    assert broken != data
    with pytest.raises(MalformedTransaction, match="sender"):
        convert.transaction_from_message(deserialize_message(broken, msg.Transaction))


def test_signatures_and_hashes_are_octets_in_the_message() -> None:
    message = block_message()
    assert message.signature.dtype == np.uint8
    assert message.signature.shape == (64,)
    assert message.header.previous_hash.shape == (32,)
