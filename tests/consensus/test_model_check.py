"""PoFL in blocks: miners make models, everybody recomputes them, from real files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import BadUpdateFile, CannotAggregate, WrongModel
from bift_ros.consensus.model_check import check_model, compute_model
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.pofl.aggregate import RULES, Update, aggregate
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec, TensorSpec
from bift_ros.pofl.files import parse_model, serialize_model, serialize_update
from bift_ros.pofl.rules import MODEL_RULES
from bift_ros.storage.cid import cid_of

SPEC = ModelSpec((TensorSpec("bias", (3,)), TensorSpec("weight", (4, 3))))
MODEL_EXPONENT = 20


class Files(dict[str, bytes]):
    """Files by CID; what is missing raises KeyError, as a storage raises its own error."""

    def put(self, data: bytes) -> str:
        cid = cid_of(data)
        self[cid] = data
        return cid

    @property
    def fetch(self) -> Callable[[str], bytes]:
        return self.__getitem__


class Round:
    """A consortium in the first iteration of a task with real files."""

    def __init__(self, fleet: Any, rule: str = "multi_krum", outlier: int = 4) -> None:
        self.fleet = fleet
        self.files = Files()
        noise = np.random.default_rng(3)
        base = noise.integers(-(2**20), 2**20, SPEC.size, dtype=np.int32)
        init = self.files.put(serialize_model(SPEC, base, MODEL_EXPONENT))
        proposal = ProposeTask("lights", init, 3, rule, "cnn", 1, 10, 0.01, "sgd")
        block = fleet.block(fleet.start, [fleet.sign(0, proposal)])
        self.state: State = fleet.apply(fleet.start, block)
        self.transactions: list[Transaction] = []
        for member in range(5):
            spread = 20_000 if member == outlier else 50
            values = noise.integers(-spread, spread, SPEC.size, dtype=np.int16)
            cid = self.files.put(serialize_update(SPEC, values, UPDATE_EXPONENT))
            self.transactions.append(fleet.update(member, self.state, cid=cid))

    def mine(self) -> Block:
        info, model, *_ = compute_model(
            self.state, self.fleet.genesis, self.transactions, self.files.fetch
        )
        assert self.files.put(model) == info.global_cid
        block: Block = self.fleet.block(self.state, self.transactions, info)
        return block

    def announce_again(self) -> None:
        """Let the members announce the same files for the next iteration, if there is one."""
        if self.state.task is not None:
            cids = [tx.payload.cid for tx in self.transactions]  # type: ignore[union-attr]
            self.transactions = [
                self.fleet.update(i, self.state, cid=cid) for i, cid in enumerate(cids)
            ]

    def replace_file(self, member: int, data: bytes) -> str:
        """Let the member announce a file with these bytes."""
        cid = self.files.put(data)
        self.transactions[member] = self.fleet.update(member, self.state, cid=cid)
        return cid


@pytest.mark.parametrize("rule", RULES)
def test_what_a_miner_makes_passes_the_check(fleet: Any, rule: str) -> None:
    round_ = Round(fleet, rule)
    block = round_.mine()
    model = check_model(round_.state, fleet.genesis, block, round_.files.fetch).file
    info = block.body.model_info
    assert info is not None
    assert cid_of(model) == info.global_cid
    after = state_transition(round_.state, fleet.genesis, block, block.header.timestamp)
    assert after.task is not None
    assert after.task.global_cid == info.global_cid
    assert info.rule in MODEL_RULES
    # One of five updates is taken as malicious (⌊0.3 × 5⌋), and it is the outlier.
    assert info.contributors == tuple(sorted(fleet.address(i) for i in range(4)))
    assert [after.balances[fleet.address(i)] for i in range(5)] == [20, 20, 20, 20, 0]


def test_it_is_the_aggregation_of_the_files(fleet: Any) -> None:
    round_ = Round(fleet, "fedavg")
    info, model, *_ = compute_model(
        round_.state, fleet.genesis, round_.transactions, round_.files.fetch
    )
    _, base, exponent = parse_model(round_.files[round_.state.task.global_cid])  # type: ignore[union-attr]
    updates = [
        Update(
            tx.payload.cid,  # type: ignore[union-attr]
            tx.sender,
            100,
            np.frombuffer(round_.files[tx.payload.cid][-30:], np.dtype("<i2")).astype(np.int16),  # type: ignore[union-attr]
        )
        for tx in round_.transactions
    ]
    expected = aggregate(
        base,
        updates,
        rule="fedavg",
        byzantine=1,
        seed=bytes(32),
        iteration=1,
        model_exponent=exponent,
    )
    spec, made, _ = parse_model(model)
    assert spec == SPEC
    assert np.array_equal(made, expected.model)
    assert not np.array_equal(made, base)
    assert info.accuracy == 0.501  # members 0 to 3 claim 0.500, 0.501, 0.502, 0.503


def test_the_order_of_transactions_changes_nothing(fleet: Any) -> None:
    round_ = Round(fleet, "mixed")
    forward = compute_model(round_.state, fleet.genesis, round_.transactions, round_.files.fetch)
    backward = compute_model(
        round_.state, fleet.genesis, round_.transactions[::-1], round_.files.fetch
    )
    assert forward == backward


def test_the_papers_rule_goes_by_the_iteration(fleet: Any) -> None:
    """Its t mod 3 is of the iteration that the block ends, the first being 1."""
    round_ = Round(fleet, "mixed_paper")
    for rule in ("krum", "trimmed_mean", "bulyan"):
        block = round_.mine()
        assert block.body.model_info is not None
        assert block.body.model_info.rule == rule
        round_.state = fleet.apply(round_.state, block)
        round_.announce_again()


def test_three_iterations_chain_up(fleet: Any) -> None:
    round_ = Round(fleet)
    for iteration in (1, 2, 3):
        block = round_.mine()
        check_model(round_.state, fleet.genesis, block, round_.files.fetch)
        round_.state = fleet.apply(round_.state, block)
        assert round_.state.latest_task.current_iter == iteration  # type: ignore[union-attr]
        round_.announce_again()
    assert round_.state.last_task.finished  # type: ignore[union-attr]


def test_each_lie_is_named(fleet: Any) -> None:
    round_ = Round(fleet)
    honest = round_.mine()
    info = honest.body.model_info
    assert info is not None
    swapped = tuple(sorted(fleet.address(i) for i in (0, 1, 2, 4)))
    lies = {
        "global_cid": info.init_cid,
        "rule": "krum",
        "contributors": swapped,
        "accuracy": 1.0,
    }
    for name, value in lies.items():
        block = fleet.block(round_.state, round_.transactions, replace(info, **{name: value}))
        with pytest.raises(WrongModel, match=rf"^{name} is .*recomputed"):
            check_model(round_.state, fleet.genesis, block, round_.files.fetch)
    # Leaving an update out without saying so changes the model too.
    fewer = fleet.block(round_.state, round_.transactions[1:], info)
    with pytest.raises(WrongModel, match="global_cid"):
        check_model(round_.state, fleet.genesis, fewer, round_.files.fetch)
    with pytest.raises(WrongModel, match="no model info"):
        check_model(round_.state, fleet.genesis, fleet.block(round_.state), round_.files.fetch)


OTHER_SPEC = ModelSpec((TensorSpec("weight", (5, 3)),))
BAD_FILES = {
    "empty": b"",
    "garbage": b"\x80\x04pickle" * 20,
    "of another size": serialize_update(OTHER_SPEC, np.zeros(15, np.int16), UPDATE_EXPONENT),
    "at another scale": serialize_update(SPEC, np.zeros(15, np.int16), UPDATE_EXPONENT - 1),
    "a model, not an update": serialize_model(SPEC, np.zeros(15, np.int32), MODEL_EXPONENT),
    "truncated": serialize_update(SPEC, np.zeros(15, np.int16), UPDATE_EXPONENT)[:-1],
    "too long": serialize_update(SPEC, np.zeros(15, np.int16), UPDATE_EXPONENT) + b"\0",
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_update_names_its_sender_and_can_be_dropped(fleet: Any, kind: str) -> None:
    round_ = Round(fleet)
    cid = round_.replace_file(2, BAD_FILES[kind])
    with pytest.raises(BadUpdateFile, match=f"{cid} of {fleet.address(2)}") as caught:
        round_.mine()
    assert (caught.value.sender, caught.value.cid) == (fleet.address(2), cid)
    assert caught.value.reason
    round_.transactions.pop(2)
    block = round_.mine()
    check_model(round_.state, fleet.genesis, block, round_.files.fetch)


def test_a_bad_base_model_and_no_updates(fleet: Any) -> None:
    round_ = Round(fleet)
    with pytest.raises(CannotAggregate, match="0 updates"):
        compute_model(round_.state, fleet.genesis, [], round_.files.fetch)
    with pytest.raises(CannotAggregate, match="no task"):
        compute_model(fleet.start, fleet.genesis, [], round_.files.fetch)
    assert round_.state.task is not None
    round_.files[round_.state.task.global_cid] = b"not a model"
    with pytest.raises(CannotAggregate, match=round_.state.task.global_cid):
        round_.mine()


def test_what_the_storage_raises_passes_through(fleet: Any) -> None:
    round_ = Round(fleet)
    payload: Any = round_.transactions[3].payload
    del round_.files[payload.cid]
    with pytest.raises(KeyError, match=payload.cid):
        round_.mine()
