"""Nothing is decoded before a member's signature holds, and nobody's noise shuts a member out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from admission.wire import STRANGER, WORLD, block, cdr, forged, open_gate, said
from bift_ros.admission import gate as gate_module
from bift_ros.admission.budgets import RESERVE, TRANSACTION_RATES
from bift_ros.admission.cdr import READABLE_BYTES
from bift_ros.admission.exceptions import NotAdmitted
from bift_ros.admission.known import MAXIMUM_KNOWN, REPLAY_MS
from bift_ros.chain.tips import MAX_TIP_BYTES, SignedTip, check_tip
from bift_ros.consensus import encoding, envelopes, transactions
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Body, sign_block
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.payloads import MAX_VOTE_BYTES, ShareFile
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.transactions import (
    MAX_GROUP_KEY_BYTES,
    Transaction,
    check_signature,
    sign_transaction,
)
from world.consortium import cid_for

TIP = WORLD.tip(1, 7, bytes(32), 3).tip
MEMBERS = WORLD.genesis.by_address


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The public keys of all signature checks."""
    made: list[bytes] = []
    verify = envelopes.verify

    def counted(public_key: bytes, signature: bytes, message: bytes) -> bool:
        made.append(public_key)
        return verify(public_key, signature, message)

    monkeypatch.setattr(envelopes, "verify", counted)
    monkeypatch.setattr(transactions, "verify", counted)
    transactions.signature_holds.cache_clear()
    return made


def test_what_a_member_signed_comes_in_as_it_was_said() -> None:
    gate, sent = open_gate(), block()
    assert gate.transaction(cdr(said(1).to_bytes()), 0) == said(1)
    assert gate.block(cdr(sent.to_bytes()), 0) == sent
    assert gate.tip(cdr(TIP.to_bytes()), 0) == TIP


def test_a_big_endian_message_is_read_too() -> None:
    data = said(1).to_bytes()
    message = b"\0\0\0\0" + len(data).to_bytes(4, "big") + data
    assert open_gate().transaction(message, 0) == said(1)


def test_a_signature_is_checked_once(checks: list[bytes]) -> None:
    gate = open_gate()
    sent = block()
    gate.transaction(cdr(sent.body.transactions[0].to_bytes()), 0)
    assert len(checks) == 1
    arrived = gate.block(cdr(sent.to_bytes()), 0)
    assert arrived is not None
    assert len(checks) == 2  # the miner's
    check_signature(arrived.body.transactions[0], WORLD.genesis, MEMBERS)
    tip = gate.tip(cdr(TIP.to_bytes()), 0)
    assert tip is not None
    check_tip(tip, WORLD.genesis, MEMBERS)
    assert len(checks) == 3


@pytest.mark.parametrize(
    ("way", "largest"),
    [("transaction", MAX_GROUP_KEY_BYTES), ("block", MAX_BLOCK_BYTES), ("tip", MAX_TIP_BYTES)],
)
class TestBeforeTheSignature:
    @pytest.fixture(autouse=True)
    def nothing_is_checked(self, monkeypatch: pytest.MonkeyPatch, checks: list[bytes]) -> Any:
        def fail(*_: object) -> None:
            raise AssertionError("it was decoded")

        for where in (transactions, gate_module.tips):
            monkeypatch.setattr(where, "decode", fail)
        yield
        assert not checks

    def refused(self, way: str, message: bytes) -> str:
        with pytest.raises(NotAdmitted) as caught:
            getattr(open_gate(), way)(message, 0)
        return caught.value.reason

    def test_a_huge_message_is_not_read(self, way: str, largest: int) -> None:
        reason = self.refused(way, cdr(bytes(largest + READABLE_BYTES)))
        assert "are read" in reason

    def test_what_claims_to_be_large_is_not_read(self, way: str, largest: int) -> None:
        assert "are read" in self.refused(way, cdr(bytes(10), claimed=largest + 1))

    @pytest.mark.parametrize("claimed", [0, 11, 100, 2**32 - 1])
    def test_a_false_length_is_refused(self, way: str, largest: int, claimed: int) -> None:
        self.refused(way, b"\0\1\0\0" + claimed.to_bytes(4, "little") + bytes(10))

    @pytest.mark.parametrize("size", range(9))
    def test_less_than_a_head_is_refused(self, way: str, largest: int, size: int) -> None:
        self.refused(way, (b"\0\1" + bytes(8))[:size])

    def test_another_encapsulation_is_refused(self, way: str, largest: int) -> None:
        assert "CDR" in self.refused(way, b"\0\7\0\0" + bytes(100))

    def test_deep_and_long_lists_are_refused_unread(self, way: str, largest: int) -> None:
        self.refused(way, cdr(encode([0] * (largest - 10))))
        self.refused(way, cdr(b"\x81" * largest))


@pytest.mark.parametrize("sender", ["x" * 40, "\0" * 40, STRANGER.address, "é" * 20])
def test_a_transaction_or_tip_of_no_member_is_not_checked(checks: list[bytes], sender: str) -> None:
    for way, data in (("transaction", said(1).to_bytes()), ("tip", TIP.to_bytes())):
        message = cdr(data.replace(WORLD.address(1).encode(), sender.encode()))
        with pytest.raises(NotAdmitted, match="is not a member"):
            getattr(open_gate(), way)(message, 0)
    assert not checks


@pytest.mark.parametrize("at", [5, 60, -70, -1])
def test_a_changed_byte_is_refused(at: int) -> None:
    for way, data in (
        ("transaction", said(1).to_bytes()),
        ("tip", TIP.to_bytes()),
        ("block", block().to_bytes()),
    ):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(NotAdmitted):
            getattr(open_gate(), way)(cdr(bytes(changed)), 0)


def test_a_block_without_work_costs_no_signature_check(checks: list[bytes]) -> None:
    idle = next(
        header
        for nonce in range(2**32, 2**33)
        if (header := replace(block().header, nonce=nonce)).hash[0] >= 16
    )
    with pytest.raises(NotAdmitted, match="leading zero bits"):
        open_gate().block(cdr(replace(block(), header=idle).to_bytes()), 0)
    assert not checks


def test_another_body_under_a_true_header_does_not_keep_the_true_one_out() -> None:
    gate, sent = open_gate(), block()
    false = replace(sent, body=Body((said(2),)))
    with pytest.raises(NotAdmitted, match="not the one that the header names"):
        gate.block(cdr(false.to_bytes()), 0)
    assert gate.block(cdr(sent.to_bytes()), 0) == sent


def test_a_block_of_the_tree_is_passed_over(checks: list[bytes]) -> None:
    assert open_gate(has_block=lambda name: True).block(cdr(block().to_bytes()), 0) is None
    assert not checks


def test_own_tips_are_passed_over(checks: list[bytes]) -> None:
    own = WORLD.tip(4, 7, bytes(32), 3).tip
    assert open_gate().tip(cdr(own.to_bytes()), 0) is None
    assert not checks


# --- replays --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "data"),
    [("transaction", said(1).to_bytes()), ("block", block().to_bytes()), ("tip", TIP.to_bytes())],
)
def test_replays_cost_no_check_and_count_against_nobody(
    checks: list[bytes], way: str, data: bytes
) -> None:
    gate = open_gate()
    take: Callable[[bytes, int], Any] = getattr(gate, way)
    assert take(cdr(data), 0) is not None
    before = len(checks)
    assert all(take(cdr(data), 1) is None for _ in range(10_000))
    assert len(checks) == before
    assert gate.transaction(cdr(said(1, 1).to_bytes()), 1) is not None


def test_what_waits_comes_in_again_when_its_member_repeats_it(checks: list[bytes]) -> None:
    gate, data = open_gate(), cdr(said(1).to_bytes())
    assert gate.transaction(data, 0) == said(1)
    assert gate.transaction(data, REPLAY_MS - 1) is None
    assert gate.transaction(data, REPLAY_MS) == said(1)
    assert len(checks) == 1


def test_a_replayed_history_shuts_no_member_out() -> None:
    """The whole of what a member once said, ten times over, from anybody."""
    gate = open_gate()
    history = [cdr(said(1, n).to_bytes()) for n in range(400)]
    gate.state = replace(WORLD.start, sequences={**WORLD.start.sequences, WORLD.address(1): 400})
    for now in range(10):
        for message in history:
            assert gate.transaction(message, now) is None
    assert gate.transaction(cdr(said(1, 400).to_bytes()), 10) == said(1, 400)


def test_an_older_tip_is_passed_over() -> None:
    gate = open_gate()
    newer, older = (WORLD.tip(1, 7, bytes(32), 3, stamp=stamp).tip for stamp in (9, 8))
    assert gate.tip(cdr(newer.to_bytes()), 0) == newer
    assert gate.tip(cdr(older.to_bytes()), 0) is None


def test_learning_of_an_iteration_that_is_over_is_passed_over() -> None:
    state = WORLD.with_task()
    update = WORLD.update(1, state)
    gate = open_gate()
    gate.state = state
    assert gate.transaction(cdr(update.to_bytes()), 0) == update
    gate = open_gate()
    for _ in range(2):
        blocks = WORLD.model_block(state, (0, 1))
        state = WORLD.apply(state, blocks)
    gate.state = state
    assert gate.transaction(cdr(update.to_bytes()), 0) is None


# --- floods ---------------------------------------------------------------------------------


def flood(gate: Any, names: list[str], count: int, now: int = 0) -> None:
    for number in range(count):
        with pytest.raises(NotAdmitted):
            gate.transaction(forged(number, names[number % len(names)]), now)


def test_forgeries_in_one_name_cost_a_bounded_number_of_checks(checks: list[bytes]) -> None:
    gate = open_gate()
    bound = TRANSACTION_RATES[2].burst + RESERVE.burst
    flood(gate, [WORLD.address(1)], int(bound) + 500)
    assert len(checks) == bound
    flood(gate, [WORLD.address(1)], 500, now=1000)
    assert len(checks) <= bound + RESERVE.a_second + 1


def test_forgeries_in_one_name_leave_all_others_alone() -> None:
    gate = open_gate()
    flood(gate, [WORLD.address(1)], 1500)
    for member in (0, 2, 3):
        for number in range(100):
            assert gate.transaction(cdr(said(member, number).to_bytes()), 0) is not None
    assert gate.tip(cdr(TIP.to_bytes()), 0) == TIP
    assert gate.block(cdr(block(miner=1).to_bytes()), 0) is not None


def test_a_member_in_whose_name_others_forge_still_gets_through_now_and_then() -> None:
    """3,000 forgeries a second, against one message that it repeats every five seconds."""
    gate, rng = open_gate(), Random(1)
    repeated = cdr(said(1).to_bytes())
    forgeries = [forged(number, WORLD.address(1)) for number in range(3000)]
    flood(gate, [WORLD.address(1)], 2000)
    came = []
    for second in range(5, 100, 5):
        at = rng.randrange(len(forgeries))
        for number, forgery in enumerate(forgeries):
            now = second * 1000 + number // 3
            if number == at:
                with suppress(NotAdmitted):
                    came.append(gate.transaction(repeated, now))
            with pytest.raises(NotAdmitted):
                gate.transaction(forgery, now)
    assert said(1) in came


def test_a_member_that_sends_too_much_is_refused_and_nobody_else() -> None:
    gate = open_gate()
    burst = int(TRANSACTION_RATES[0].burst)
    for number in range(burst):
        assert gate.transaction(cdr(said(1, number).to_bytes()), 0) is not None
    with pytest.raises(NotAdmitted, match="more messages than a member does"):
        gate.transaction(cdr(said(1, burst).to_bytes()), 0)
    assert gate.transaction(cdr(said(2).to_bytes()), 0) is not None
    assert gate.transaction(cdr(said(1, burst).to_bytes()), 1000) is not None


def test_a_member_that_sends_too_many_bytes_is_refused(checks: list[bytes]) -> None:
    gate = open_gate()
    data = encode([WORLD.address(1), 0, bytes(MAX_GROUP_KEY_BYTES - 200), bytes(64)])
    key = WORLD.keys[1]
    refusals = []
    for number in range(20):
        payload = number.to_bytes(4, "big") + bytes(MAX_GROUP_KEY_BYTES - 204)
        unsigned = encode([WORLD.address(1), 0, payload, bytes(64)])
        tx = Transaction(WORLD.address(1), 0, said(1).payload, bytes(64)).remember(unsigned)
        signature = key.sign(tx.signing_bytes(WORLD.genesis.hash))
        with pytest.raises(NotAdmitted) as caught:
            gate.transaction(cdr(unsigned[:-64] + signature), 0)
        refusals.append(caught.value.reason)
    assert len(data) < MAX_GROUP_KEY_BYTES
    assert refusals[0].startswith("no payload")
    assert "more bytes than a member does" in refusals[-1]
    assert len(checks) < 20


def test_nonsense_that_a_member_signed_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unsigned = encode([WORLD.address(1), 0, b"\xff", bytes(64)])
    tx = Transaction(WORLD.address(1), 0, said(1).payload, bytes(64)).remember(unsigned)
    data = unsigned[:-64] + WORLD.keys[1].sign(tx.signing_bytes(WORLD.genesis.hash))
    gate = open_gate()
    with pytest.raises(NotAdmitted, match="no payload"):
        gate.transaction(cdr(data), 0)
    monkeypatch.setattr(transactions, "decode", lambda _: pytest.fail("decoded again"))
    assert gate.transaction(cdr(data), REPLAY_MS) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = open_gate()
    known = gate._known
    for number in range(MAXIMUM_KNOWN + 10):
        known.note(number.to_bytes(4, "big"), 0)
    assert len(known._until) == MAXIMUM_KNOWN


# --- members within the rules -----------------------------------------------------------------


def test_a_fleet_of_a_hundred_never_meets_a_bound() -> None:
    """Its tips, a commit and an update of each in every iteration, all said three times."""
    from world.consortium import Consortium

    fleet = Consortium(100)
    gate = open_gate(genesis=fleet.genesis, members=fleet.genesis.by_address, address="")
    state, now = fleet.with_task(), 0
    for _ in range(3):
        gate.state = state
        updates = [fleet.update(member, state) for member in range(100)]
        for again in range(3):
            for tx in (*updates, *(fleet.commit(n, state, tx) for n, tx in enumerate(updates))):
                found = gate.transaction(cdr(tx.to_bytes()), now)
                assert (found is None) == (again == 1)
            for member in range(100):
                tip = fleet.tip(member, 1, bytes(32), 1, stamp=now + 1).tip
                assert gate.tip(cdr(tip.to_bytes()), now) == tip
            now += 100 if again == 0 else 5000
        made = fleet.model_block(state, range(100))
        assert gate.block(cdr(made.to_bytes()), now) == made
        state = fleet.apply(state, made)


def test_whoever_comes_late_is_sent_a_lot_at_once() -> None:
    """Each member's last 64 transactions, all but four of them long on the chain."""
    gate = open_gate()
    gate.state = replace(WORLD.start, sequences=dict.fromkeys(WORLD.start.sequences, 60))
    for member in range(4):
        for number in range(64):
            found = gate.transaction(cdr(said(member, number).to_bytes()), 0)
            assert (found is not None) == (number >= 60)


def test_the_largest_tip_has_the_stated_size() -> None:
    most = 2**63 - 1
    unsigned = SignedTip(
        WORLD.address(1), most, bytes(32), most, "x" * 256, most, most,
        bytes(MAX_VOTE_BYTES), bytes(MAX_VOTE_BYTES), bytes(64),
    )  # fmt: skip
    signature = WORLD.keys[1].sign(unsigned.signing_bytes(WORLD.genesis.hash))
    tip = replace(unsigned, signature=signature)
    assert len(tip.to_bytes()) == MAX_TIP_BYTES
    assert open_gate().tip(cdr(tip.to_bytes()), 0) == tip


def test_a_block_that_a_member_made_of_nonsense_is_its_own_fault() -> None:
    body = Body(()).remember(b"\xff")
    header = search(replace(block().header, body_hash=body.hash), 2**32, 10_000)
    assert header is not None
    nonsense = sign_block(WORLD.keys[0], header, body)
    with pytest.raises(NotAdmitted) as caught:
        open_gate().block(cdr(nonsense.to_bytes()), 0)
    assert caught.value.sender == header.miner


def test_byte_strings_are_found_without_a_look_inside() -> None:
    assert encoding.byte_strings(encode([b"a", b"bc" * 200]), 2) == [b"a", b"bc" * 200]
    for data in (b"", b"\x01", encode([b"a", 1]), encode([b"a"]) + b"\0", b"\x83\x41a", b"\x9f"):
        with pytest.raises(encoding.EncodingError):
            encoding.byte_strings(data, 3)
    with pytest.raises(encoding.EncodingError, match="more than 2"):
        encoding.byte_strings(encode([b"a"] * 3), 2)


def test_a_transaction_is_read_only_once_its_signature_holds() -> None:
    share = ShareFile("map", cid_for("map"), 1, "x" * 200)
    sent = sign_transaction(WORLD.keys[2], 3, share, WORLD.genesis.hash)
    assert transactions.read_transaction(sent.to_bytes(), WORLD.genesis, MEMBERS) == sent


def test_a_tip_that_is_hours_ahead_does_not_silence_its_member() -> None:
    gate = open_gate()
    gate.wall = 1_000
    ahead, right = (WORLD.tip(1, 7, bytes(32), 3, stamp=s).tip for s in (10_800_000, 1_001))
    assert gate.tip(cdr(ahead.to_bytes()), 0) == ahead
    assert gate.tip(cdr(right.to_bytes()), 1) == right
    assert gate.tip(cdr(ahead.to_bytes()), 10_000_000) is None  # whoever sends it again
