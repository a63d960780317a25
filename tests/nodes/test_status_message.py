"""A status goes into its message and back; what comes from strangers is bounded."""

from __future__ import annotations

from dataclasses import fields

import pytest

pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import msg
from builtin_interfaces.msg import Time

from bift_ros.consensus.exceptions import FieldError
from bift_ros.monitoring.status import (
    PARTS,
    ChainStatus,
    DatasetStatus,
    TaskStatus,
    TrainingStatus,
    VehicleState,
    VehicleStatus,
)
from bift_ros.nodes.status_message import status_from_message, status_to_message

STATUS = VehicleStatus(
    "car",
    "a" * 40,
    VehicleState.MINING,
    mines=True,
    chain=ChainStatus(height=7, tip="11" * 32, equivocations=("van at 7",)),
    task=TaskStatus("lights", 2, 3, accuracy=0.5, rule="robust", contributors=3),
    training=TrainingStatus(epoch=1, loss=0.25),
    dataset=DatasetStatus(samples=30, class_samples=(10, 20)),
)


def test_what_goes_in_comes_out() -> None:
    message = status_to_message(STATUS, Time(sec=5))
    assert (message.stamp.sec, message.chain.height, message.state) == (5, 7, "mining")
    assert status_from_message(message) == STATUS


@pytest.mark.parametrize(("part", "kind"), PARTS.items())
def test_each_part_has_the_fields_and_defaults_of_its_message(part: str, kind: type) -> None:
    names = set(getattr(msg, kind.__name__).get_fields_and_field_types())
    assert names == {field.name for field in fields(kind)}
    assert getattr(status_from_message(msg.VehicleStatus(address="a" * 40)), part) == kind()


def test_the_states_are_the_messages_constants() -> None:
    constants = {name: getattr(msg.VehicleStatus, name) for name in VehicleState.__members__}
    assert constants == VehicleState.__members__


def test_texts_and_lists_are_cut() -> None:
    message = msg.VehicleStatus(address="a" * 40, state="x" * 600)
    message.chain.equivocations = ["y" * 600] * 200
    message.dataset.class_samples = [1] * 50
    status = status_from_message(message)
    assert len(status.state) == 500
    assert status.chain.equivocations == ("y" * 500,) * 100
    assert status.dataset.class_samples == (1,) * 10


@pytest.mark.parametrize(
    "message",
    [
        msg.VehicleStatus(address="nobody"),
        msg.VehicleStatus(address="a" * 40, task=msg.TaskStatus(accuracy=float("nan"))),
        msg.VehicleStatus(address="a" * 40, task=msg.TaskStatus(accuracy=1.5)),
    ],
)
def test_what_no_vehicle_says_is_refused(message: msg.VehicleStatus) -> None:
    with pytest.raises(FieldError):
        status_from_message(message)
