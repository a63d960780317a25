"""Consensus objects through ROS messages and their CDR bytes: nothing changes, nothing crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from rclpy.serialization import deserialize_message, serialize_message

from bift_ros.chain.tips import SignedTip, sign_tip
from bift_ros.consensus.blocks import (
    MAX_NONCE,
    MIN_NONCE,
    Block,
    Body,
    Header,
    ModelInfo,
    sign_block,
)
from bift_ros.consensus.double_votes import double_vote
from bift_ros.consensus.group_key import make_group_key
from bift_ros.consensus.payloads import (
    FILE_NAME,
    MAX_FILE_BYTES,
    MAX_ITERATIONS,
    CancelTask,
    DoubleVote,
    MembershipVote,
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    ShareFile,
    Transfer,
    WithdrawFile,
)
from bift_ros.consensus.transactions import (
    Transaction,
    is_signed,
    sign_transaction,
)
from bift_ros.consensus.votes import Stage, Statement, sign_vote
from bift_ros.identity.keys import KeyPair, verify
from bift_ros.nodes import convert
from bift_ros.pofl.aggregate import RULES
from bift_ros.storage.cid import cid_of

pytestmark = pytest.mark.ros

KEY = KeyPair.from_seed(bytes(32))
GENESIS_HASH = bytes(range(32))
CID = cid_of(b"a file")

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
file_names = st.from_regex(FILE_NAME, fullmatch=True)
cids = st.binary(max_size=8).map(cid_of)
addresses = st.binary(min_size=32, max_size=32).map(lambda s: KeyPair.from_seed(s).address)
hashes = st.binary(min_size=32, max_size=32)
iterations = st.integers(1, MAX_ITERATIONS)
accuracies = st.floats(0.0, 1.0).map(abs)
int63 = st.integers(0, 2**63 - 1)


def make_evidence(height: int, above: int) -> DoubleVote:
    """Two prevotes of one round."""
    key = KeyPair.from_seed(bytes(32))
    said = [Statement(1, h, bytes(32), bytes(32), 0, bytes(32)) for h in (height, height + above)]
    return double_vote(*(sign_vote(key, bytes(32), Stage.PREVOTE, one) for one in said))


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
    "membership_vote": st.builds(
        MembershipVote,
        st.sampled_from(["join", "leave"]),
        st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True),
        hashes,
    ),
    "share_file": st.builds(
        ShareFile,
        name=file_names,
        cid=cids,
        size=st.integers(0, MAX_FILE_BYTES),
        description=st.from_regex(r"[ -~]{0,200}", fullmatch=True),
    ),
    "withdraw_file": st.builds(WithdrawFile, file_names),
    "cancel_task": st.builds(CancelTask, names),
    "double_vote": st.builds(make_evidence, st.integers(1, 2**32), st.integers(1, 2**32)),
    "group_key": st.builds(
        make_group_key,
        hashes,
        hashes,
        st.lists(hashes, min_size=1, max_size=3),
        st.lists(hashes, max_size=2),
    ),
    "model_commit": st.builds(ModelCommit, names, iterations, cids, hashes, hashes),
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


tips = st.builds(
    lambda **where: sign_tip(KEY, GENESIS_HASH, **where),
    height=int63,
    tip_hash=hashes,
    learning_weight=int63,
    provider=st.from_regex(r"[!-~]{0,256}", fullmatch=True),
    stamp=int63,
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
        height=draw(st.integers(1, 2**63 - 1)),
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
    message = over_the_wire(convert.transaction_to_message(sent))
    assert (message.sender, message.sequence, message.kind) == (KEY.address, sequence, kind)
    assert json.loads(message.payload).keys() == vars(sent.payload).keys()
    received = convert.transaction_from_message(message)
    assert received == sent
    assert received.hash == sent.hash
    assert is_signed(received, KEY.public_key, GENESIS_HASH)


@given(transactions)
def test_messages_that_never_were_serialized_convert_too(sent: Transaction) -> None:
    assert convert.transaction_from_message(convert.transaction_to_message(sent)) == sent


@given(blocks())
def test_a_block_survives_the_wire(sent: Block) -> None:
    message = over_the_wire(convert.block_to_message(sent))
    assert message.hash == sent.hash.hex()
    received = convert.block_from_message(message)
    assert received == sent
    assert received.to_bytes() == sent.to_bytes()
    assert verify(KEY.public_key, received.signature, received.hash)


@given(tips)
def test_a_tip_survives_the_wire(sent: SignedTip) -> None:
    message = over_the_wire(convert.tip_to_message(sent, "car"))
    assert message.name == "car"
    assert message.hash == sent.hash.hex()
    received = convert.tip_from_message(message)
    assert received == sent
    signed = received.signing_bytes(GENESIS_HASH)
    assert verify(KEY.public_key, received.signature, signed)
