"""`bift task`: what the chain's blocks tell of its tasks."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the command needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.consensus.blocks import Block, Body, Header
from bift_ros.consensus.payloads import CancelTask, ModelCommit, Payload, ProposeTask
from bift_ros.consensus.transactions import Transaction
from bift_ros.history.blocks import summary_of
from bift_ros.history.iterations import tasks_of
from bift_ros.identity.keys import KeyPair
from bift_ros.storage.cid import cid_of

CAR, BUS = (KeyPair.from_seed(bytes([n]) * 32).address for n in range(2))
CID = cid_of(b"model")


def block(*said: tuple[str, Payload]) -> Block:
    """A block that nobody checks here."""
    body = Body(tuple(Transaction(who, 0, payload, bytes(64)) for who, payload in said))
    header = Header(1, 1000, bytes(32), body.hash, 0, CAR, 0, 2**32)
    return Block(header, body, bytes(64))


def task(name: str) -> ProposeTask:
    return ProposeTask(name, CID, 3, "krum", "a:b", 1, 1, 0.1, "sgd")


def commit(name: str) -> ModelCommit:
    return ModelCommit(name, 1, CID, bytes(32), bytes(32))


def test_a_task_may_be_replaced_and_counts_those_who_committed() -> None:
    blocks = [
        block((CAR, task("one"))), block((BUS, task("two"))),
        block((CAR, commit("two")), (BUS, commit("two"))),
    ]  # fmt: skip
    first, second = tasks_of(map(summary_of, blocks))
    assert second.proposal is not None
    assert (first.state, first.committed) == ("replaced", [])
    assert (second.state, second.proposal.proposer, second.committed) == ("active", BUS, [CAR, BUS])
    assert second.global_cid == CID


def test_a_cancelled_task_is_told_from_a_replaced_one() -> None:
    said = [block((CAR, task("one"))), block((CAR, CancelTask("one")), (BUS, CancelTask("one")))]
    summaries = [summary_of(each) for each in said]
    (one,) = tasks_of(summaries)
    assert (one.state, one.opponents) == ("active", [CAR, BUS])
    (one,) = tasks_of(summaries, is_cancelled=True)
    assert one.state == "cancelled"
    one, two = tasks_of([*summaries, summary_of(block((CAR, task("two"))))])
    assert (one.state, two.state) == ("cancelled", "active")


def test_a_chain_of_nonsense_is_borne() -> None:
    assert tasks_of([summary_of(block((CAR, commit("one"))))]) == []


def test_tasks_are_listed(bift: Any, built_chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = json.loads(bift("task", "list", "--data", built_chain.data, "--json").out)
    (lights,) = listed["tasks"]
    assert listed["height"] == 3
    assert (lights["model_id"], lights["state"]) == ("lights", "done")
    assert (lights["current_iter"], lights["total_iter"]) == (2, 2)
    assert (lights["rule"], lights["proposer"]) == ("multi_krum", "vehicle_00")
    monkeypatch.setenv("COLUMNS", "160")
    plain = bift("task", "list", "--data", built_chain.data).out
    assert "lights" in plain
    assert "2/2" in plain


def test_a_task_is_shown_with_its_iterations(bift: Any, built_chain: Any) -> None:
    shown = json.loads(bift("task", "show", "--data", built_chain.data, "--json").out)
    assert shown["model_id"] == "lights"
    assert shown["architecture"] == "a:b"
    assert [(i["iteration"], i["block"], i["seconds"]) for i in shown["iterations"]] == [
        (1, 2, 1.0), (2, 3, 1.0),
    ]  # fmt: skip
    assert shown["iterations"][-1]["global_cid"] == shown["global_cid"]
    assert shown["accuracy"] == shown["iterations"][-1]["accuracy"]
    plain = bift("task", "show", "lights", "--data", built_chain.data).out
    assert "learning rate  0.01" in plain
    assert "multi_krum" in plain


def test_a_task_that_is_not_there_is_said(bift: Any, built_chain: Any) -> None:
    result = bift("task", "show", "signs", "--data", built_chain.data)
    assert result.code == 2
    assert "no task signs on the chain (there: lights)" in result.err


def test_a_chain_without_a_task_says_so(bift: Any, voting_chain: Any) -> None:
    assert (
        json.loads(bift("task", "list", "--data", voting_chain.data, "--json").out)["tasks"] == []
    )
    result = bift("task", "show", "--data", voting_chain.data)
    assert result.code == 2
    assert "no task on the chain (there: none)" in result.err
    assert "submit-model" in result.err
