"""Every setting: described, bounded, and the same in `config/vehicle.yaml` or `monitor.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")

from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

from bift_ros.consensus.genesis import Policy
from bift_ros.nodes import parameters
from bift_ros.pofl.aggregate import RULES

pytestmark = pytest.mark.ros

CONFIG = Path(__file__).parents[2] / "config"
VEHICLE = {
    "/**/vehicle": parameters.VEHICLE,
    "/**/trainer": parameters.TRAINER,
    "/**/perception": parameters.PERCEPTION,
    "/**/camera_replay": parameters.CAMERA_REPLAY,
}
MONITOR = {
    "/**/monitor": parameters.MONITOR + parameters.SCENE,
    "/**/camera_view": parameters.CAMERA_VIEW,
}
FILES = {"vehicle.yaml": VEHICLE, "monitor.yaml": MONITOR}
ALL = [s for sections in FILES.values() for settings in sections.values() for s in settings]


@pytest.mark.parametrize("file", FILES)
def test_the_config_file_lists_the_settings_with_their_defaults(file: str) -> None:
    document = yaml.safe_load((CONFIG / file).read_text())
    assert list(document) == list(FILES[file])
    for section, settings in FILES[file].items():
        written = document[section]["ros__parameters"]
        assert list(written) == [s.name for s in settings], section
        for setting in settings:
            assert written[setting.name] == setting.default
            assert type(written[setting.name]) is type(setting.default), setting.name


def test_every_setting_explains_itself() -> None:
    for setting in ALL:
        described = setting.descriptor()
        assert described.description.endswith("."), setting.name
        assert described.read_only


def test_every_number_has_a_range_that_holds_its_default() -> None:
    for setting in ALL:
        if type(setting.default) in (int, float):
            assert setting.low is not None, setting.name
            assert setting.high is not None, setting.name
            assert setting.low <= setting.default <= setting.high, setting.name


def test_the_task_is_the_papers() -> None:
    task = {s.name: s.default for s in parameters.VEHICLE if s.name.startswith("task.")}
    assert task["task.local_epochs"] == 10
    assert task["task.batch_size"] == 10
    assert task["task.learning_rate"] == 0.001
    assert task["task.total_iter"] == 10
    assert task["task.rule"] == ""  # the policy's
    assert Policy().rule in RULES


def test_the_defaults_are_what_a_node_declares(ros: Any) -> None:
    ros.start()
    node = ros.node("vehicle")
    assert parameters.declare(node, parameters.VEHICLE) == {
        s.name: s.default for s in parameters.VEHICLE
    }
    described = node.describe_parameter("task.learning_rate")
    assert described.floating_point_range[0].to_value == 10.0


@pytest.mark.parametrize("file", FILES)
def test_a_real_parser_of_ros_takes_the_config_file(ros: Any, file: str) -> None:
    ros.start("--params-file", str(CONFIG / file))
    for section, settings in FILES[file].items():
        node = ros.node(section.rpartition("/")[2])
        assert parameters.declare(node, settings) == {s.name: s.default for s in settings}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gateway_port", "65536"),
        ("storage_mb", "0"),
        ("status_period", "0.0"),
        ("task.local_epochs", "0"),
        ("task.learning_rate", "-0.5"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(ros: Any, name: str, value: str) -> None:
    ros.start("-p", f"{name}:={value}")
    node = ros.node("vehicle")
    with pytest.raises(InvalidParameterValueException, match=name.replace(".", r"\.")):
        parameters.declare(node, parameters.VEHICLE)


def test_a_value_of_another_type_is_refused_by_name(ros: Any) -> None:
    ros.start("-p", "threads:=many")
    node = ros.node("trainer")
    with pytest.raises(InvalidParameterTypeException, match="threads"):
        parameters.declare(node, parameters.TRAINER)


def test_no_timer_of_a_vehicle_heeds_sim_time(ros: Any) -> None:
    from bift_ros.nodes.quiet_node import QuietNode

    ros.start("-p", "use_sim_time:=true")
    node, fired = ros.add(QuietNode("steady")), []
    node.create_timer(0.01, lambda: fired.append(1))
    ros.spin_until(lambda: bool(fired), what="the timer")
