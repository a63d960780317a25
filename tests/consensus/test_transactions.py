"""Transactions: round trips, signatures, and bytes from strangers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus.encoding import encode
from bift_ros.consensus.exceptions import (
    BadSignature,
    FieldError,
    InvalidTransaction,
    MalformedTransaction,
    UnknownSender,
)
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.group_key import GroupKey, make_group_key
from bift_ros.consensus.payloads import (
    FILE_NAME,
    MAX_FILE_BYTES,
    MAX_SAMPLES,
    MembershipVote,
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    ShareFile,
    Transfer,
    WithdrawFile,
    commitment_of,
)
from bift_ros.consensus.transactions import (
    MAX_TRANSACTION_BYTES,
    Transaction,
    check_signature,
    check_together,
    is_signed,
    sign_transaction,
)
from bift_ros.identity.keys import KeyPair
from bift_ros.pofl.aggregate import RULES

KEY = KeyPair.from_seed(bytes(32))
GENESIS_HASH = bytes(range(32))
RAW_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
PB_CID = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"

addresses = st.binary(min_size=20, max_size=20).map(bytes.hex)
names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
cids = st.sampled_from([RAW_CID, PB_CID])
file_names = st.from_regex(FILE_NAME, fullmatch=True)
iterations = st.integers(1, 10**6)
digests = st.binary(min_size=32, max_size=32)
payloads: st.SearchStrategy[Payload] = st.one_of(
    st.builds(Transfer, addresses, st.integers(1, 2**63 - 1)),
    st.builds(
        ProposeTask,
        names,
        cids,
        iterations,
        st.sampled_from(RULES),
        st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True),
        st.integers(1, 10_000),
        st.integers(1, 2**20),
        st.floats(1e-12, 1e3),
        st.sampled_from(["sgd", "adam"]),
    ),
    st.builds(ModelCommit, names, iterations, cids, digests, digests),
    st.builds(MembershipVote, st.sampled_from(["join", "leave"]), names, digests),
    st.builds(
        ShareFile,
        file_names,
        cids,
        st.integers(0, MAX_FILE_BYTES),
        st.from_regex(r"[ -~]{0,200}", fullmatch=True),
    ),
    st.builds(WithdrawFile, file_names),
    st.builds(
        lambda epoch, secret, others, earlier: make_group_key(secret, epoch, others, earlier),
        digests,
        digests,
        st.lists(digests, min_size=1, max_size=3),
        st.lists(digests, max_size=2),
    ),
    st.builds(
        ModelUpdate,
        names,
        iterations,
        cids,
        cids,
        st.floats(0, 1).map(abs),
        st.integers(1, MAX_SAMPLES),
        st.binary(max_size=32),
    ),
)


@given(payloads, st.integers(0, 2**63 - 1))
def test_round_trip(payload: Payload, sequence: int) -> None:
    tx = sign_transaction(KEY, sequence, payload, GENESIS_HASH)
    data = tx.to_bytes()
    again = Transaction.from_bytes(data)
    assert again == tx
    assert again.to_bytes() == data
    assert again.hash == tx.hash
    assert len(data) <= MAX_TRANSACTION_BYTES
    assert is_signed(again, KEY.public_key, GENESIS_HASH)
    assert not is_signed(again, KEY.public_key, bytes(32))


def test_a_remembered_signature_holds_for_its_key_and_chain_alone() -> None:
    other = KeyPair.from_seed(bytes([1] * 32))
    signed = sign_transaction(KEY, 0, Transfer(other.address, 1), GENESIS_HASH)
    for tx in (signed, Transaction.from_bytes(signed.to_bytes())):
        for _ in range(2):
            assert is_signed(tx, KEY.public_key, GENESIS_HASH)
            assert not is_signed(tx, other.public_key, GENESIS_HASH)
            assert not is_signed(tx, KEY.public_key, bytes(32))
            assert not is_signed(tx, other.public_key, bytes(32))


def test_signatures_checked_together_are_judged_as_alone() -> None:
    keys = [KeyPair.from_seed(bytes([i] * 32)) for i in range(20)]
    members = tuple(Member(f"car_{i}", key.public_key) for i, key in enumerate(keys[:18]))
    genesis = Genesis("test", 1, members, Policy())
    said = [Transfer("ab" * 20, 1 + i) for i in range(20)]
    good = [sign_transaction(key, 0, s, genesis.hash) for key, s in zip(keys, said, strict=True)]
    txs = [Transaction.from_bytes(tx.to_bytes()) for tx in good]
    txs[3] = replace(txs[3], signature=txs[4].signature)
    check_together(txs, genesis, genesis.by_address)
    refusals: dict[int, type[Exception]] = {}
    for number, tx in enumerate(txs):
        try:
            check_signature(tx, genesis, genesis.by_address)
        except (BadSignature, UnknownSender) as error:
            refusals[number] = type(error)
    assert refusals == {3: BadSignature, 18: UnknownSender, 19: UnknownSender}


def test_what_is_remembered_is_no_part_of_a_copy() -> None:
    """One with another field is another transaction, whose signature nobody has checked."""
    signed = sign_transaction(KEY, 0, Transfer("ab" * 20, 1), GENESIS_HASH)
    assert is_signed(signed, KEY.public_key, GENESIS_HASH)
    for change in ({"sequence": 1}, {"payload": Transfer("ab" * 20, 2)}, {"signature": bytes(64)}):
        assert not is_signed(replace(signed, **change), KEY.public_key, GENESIS_HASH)


@given(payloads, st.data())
def test_a_changed_byte_is_refused_or_breaks_the_signature(
    payload: Payload, data: st.DataObject
) -> None:
    tx = sign_transaction(KEY, 7, payload, GENESIS_HASH)
    changed = bytearray(tx.to_bytes())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] ^= data.draw(st.integers(1, 255))
    try:
        other = Transaction.from_bytes(bytes(changed))
    except MalformedTransaction:
        return
    assert other != tx
    assert other.hash != tx.hash
    assert not is_signed(other, KEY.public_key, GENESIS_HASH)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_transaction_or_one_error(data: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        Transaction.from_bytes(data)


GOOD = sign_transaction(KEY, 0, Transfer("ab" * 20, 5), GENESIS_HASH)


def envelope(content: Any, **changes: Any) -> bytes:
    parts = {
        "sender": GOOD.sender,
        "sequence": 0,
        "payload": encode(content),
        "signature": GOOD.signature,
    }
    return encode(list((parts | changes).values()))


KEY_PARTS = [bytes(32), bytes(32), bytes(48), bytes(32), bytes(48)]
UPDATE = ["model_update", "lights", 1, PB_CID, RAW_CID, 0.5, 10, b""]


@pytest.mark.parametrize(
    "data",
    [
        envelope(["transfer", "ab" * 20, 5], sender="AB" * 20),
        envelope(["transfer", "ab" * 20, 5], sequence=-1),
        envelope(["transfer", "ab" * 20, 5], sequence=2**63),
        envelope(["transfer", "ab" * 20, 5], sequence=True),
        envelope(["transfer", "ab" * 20, 5], signature=bytes(63)),
        envelope(["transfer", "ab" * 20, 5], payload=b"\x81"),
        envelope(["transfer", "ab" * 20, 5], payload="text"),
        envelope(["transfer", "ab" * 20, 0]),
        envelope(["transfer", "ab" * 20, 5.0]),
        envelope(["transfer", "ab" * 20]),
        envelope(["transfer", "ab" * 20, 5, 6]),
        envelope(["gift", "ab" * 20, 5]),
        envelope([["transfer"], "ab" * 20, 5]),
        envelope([]),
        envelope(None),
        envelope(UPDATE[:-1]),  # the salt has a default in Python, not in the bytes
        envelope([*UPDATE[:5], -0.0, *UPDATE[6:]]),
        envelope([*UPDATE[:5], 1.5, *UPDATE[6:]]),
        envelope([*UPDATE[:5], 1, *UPDATE[6:]]),
        envelope([*UPDATE[:6], MAX_SAMPLES + 1, b""]),
        envelope([*UPDATE[:7], bytes(33)]),
        envelope([*UPDATE[:4], RAW_CID[:-1] + "v", *UPDATE[5:]]),  # a padding bit set
        envelope([*UPDATE[:4], "Qm" + RAW_CID[2:], *UPDATE[5:]]),
        envelope(["model_update", "Lights", *UPDATE[2:]]),
        envelope(["model_update", "x" * 65, *UPDATE[2:]]),
        envelope(["share_file", ".hidden", RAW_CID, 1, ""]),
        envelope(["share_file", "a/b", RAW_CID, 1, ""]),
        envelope(["share_file", "", RAW_CID, 1, ""]),
        envelope(["share_file", "x" * 101, RAW_CID, 1, ""]),
        envelope(["share_file", "tile", "tile", 1, ""]),
        envelope(["share_file", "tile", RAW_CID, -1, ""]),
        envelope(["share_file", "tile", RAW_CID, 2**50 + 1, ""]),
        envelope(["share_file", "tile", RAW_CID, 1, "a\nb"]),
        envelope(["share_file", "tile", RAW_CID, 1, "x" * 201]),
        envelope(["share_file", "tile", RAW_CID, 1]),
        envelope(["withdraw_file", "a b"]),
        envelope(["group_key", bytes(31), *KEY_PARTS[1:]]),
        envelope(["group_key", KEY_PARTS[0], bytes(31), *KEY_PARTS[2:]]),
        envelope(["group_key", *KEY_PARTS[:2], b"", *KEY_PARTS[3:]]),
        envelope(["group_key", *KEY_PARTS[:2], bytes(49), *KEY_PARTS[3:]]),
        envelope(["group_key", *KEY_PARTS[:2], bytes(48_048), *KEY_PARTS[3:]]),
        envelope(["group_key", *KEY_PARTS[:3], bytes(31), bytes(48)]),
        envelope(["group_key", *KEY_PARTS[:3], bytes(32), b""]),
        envelope(["group_key", *KEY_PARTS[:3], b"", bytes(48)]),
        envelope(["group_key", *KEY_PARTS[:3], bytes(17 * 32), bytes(17 * 48)]),
        envelope(["share_file", "tile", RAW_CID, 1, "x" * 3000]),
        encode([GOOD.sender, 0, b""]),
        b"\x00" * (MAX_TRANSACTION_BYTES + 1),
    ],
)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedTransaction):
        Transaction.from_bytes(data)


def test_the_envelope_above_is_good_unchanged() -> None:
    assert envelope(["transfer", "ab" * 20, 5]) == GOOD.to_bytes()
    assert Transaction.from_bytes(envelope(UPDATE)).payload == ModelUpdate(*UPDATE[1:])
    key = Transaction.from_bytes(envelope(["group_key", *KEY_PARTS])).payload
    assert key == GroupKey(*KEY_PARTS)


def test_fields_are_checked_when_made_too() -> None:
    with pytest.raises(FieldError, match="amount: -5"):
        Transfer("ab" * 20, -5)
    with pytest.raises(FieldError, match="rule: 'best' is not one of fedavg"):
        ProposeTask("m", PB_CID, 1, "best", "cnn", 1, 1, 0.1, "sgd")
    with pytest.raises(FieldError, match="learning_rate: nan"):
        ProposeTask("m", PB_CID, 1, "krum", "cnn", 1, 1, float("nan"), "sgd")
    with pytest.raises(FieldError, match="sequence"):
        sign_transaction(KEY, -1, Transfer("ab" * 20, 5), GENESIS_HASH)
    with pytest.raises(FieldError, match="payload: str is no kind"):
        replace(GOOD, payload="transfer")


def test_a_signature_is_a_members_over_these_very_bytes(fleet: Any) -> None:
    tx = fleet.sign(1, Transfer(fleet.address(2), 5))
    members = fleet.genesis.by_address
    read = Transaction.from_bytes(tx.to_bytes())
    assert read == tx
    check_signature(read, fleet.genesis, members)
    with pytest.raises(UnknownSender, match="not a member of test"):
        check_signature(GOOD, fleet.genesis, members)
    with pytest.raises(BadSignature):
        check_signature(replace(tx, sequence=1), fleet.genesis, members)
    message = encode(["bift transaction 1", fleet.genesis.hash, tx.sender, 0, b"\xff\xff"])
    signed_garbage = encode([tx.sender, 0, b"\xff\xff", fleet.keys[1].sign(message)])
    with pytest.raises(MalformedTransaction):
        Transaction.from_bytes(signed_garbage)


def test_commitments_bind_cid_salt_and_address() -> None:
    base = commitment_of(RAW_CID, b"salt", KEY.address)
    assert len(base) == 32
    others = {
        commitment_of(PB_CID, b"salt", KEY.address),
        commitment_of(RAW_CID, b"sal", KEY.address),
        commitment_of(RAW_CID, b"salt", "ab" * 20),
    }
    assert base not in others
    assert len(others) == 3
