"""A fleet's description: what a sound file comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.attacks.registry import ATTACKS
from bift_ros.consensus.genesis import MAX_MEMBERS, MODES, RULE_OF_MODE, Policy
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.description.fleet import (
    DEFAULT_GPU_MEMORY_MB,
    DEFAULT_MEMORY,
    CameraTopics,
    FleetDescription,
    Impairment,
    TaskDescription,
    VehicleDescription,
)
from bift_ros.fleet.description.schema import fleet_schema, schema_at
from bift_ros.fleet.description.vehicles import parse_size
from bift_ros.fleet.runtimes.plan import prepare
from bift_ros.fleet.runtimes.processes import vehicle_command
from bift_ros.pofl.aggregate import RULES

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "config").glob("fleet_*.yaml"))
FLOATS = (("camera_replay", "rate"), ("vehicle", "task.learning_rate"))
Load = Callable[..., FleetDescription]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, **overrides: Any) -> FleetDescription:
        file = tmp_path / "town.yaml"
        file.write_text(text)
        return load_description(file, **overrides)

    return load


@pytest.fixture
def three_bags(tmp_path: Path) -> list[Path]:
    bags = [tmp_path / "bags" / f"vehicle_0{n}" for n in range(3)]
    for bag in bags:
        bag.mkdir(parents=True)
        (bag / "metadata.yaml").touch()
    (tmp_path / "bags" / "test").mkdir()
    return bags


@pytest.mark.parametrize("file", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_fleet_loads_and_names_its_schema(file: Path, tmp_path: Path) -> None:
    fleet = load_description(file)
    assert fleet.name == file.stem
    assert len(fleet.vehicles) == int(file.stem.removeprefix("fleet_"))
    assert all(v.memory_bytes == DEFAULT_MEMORY for v in fleet.vehicles)
    first = file.read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads((file.parent / schema).read_text()) == fleet_schema()


def test_there_are_shipped_fleets() -> None:
    assert {"fleet_5", "fleet_30"} <= {file.stem for file in SHIPPED}


def test_a_number_of_vehicles_is_all_it_takes(load: Load) -> None:
    fleet = load("vehicles: 3\n")
    assert fleet.name == "town"
    assert [v.name for v in fleet.vehicles] == ["vehicle_00", "vehicle_01", "vehicle_02"]
    assert fleet.vehicles[0] == VehicleDescription("vehicle_00")
    assert fleet.vehicles[0].needs_synthetic_bag
    assert fleet.vehicles[0].gpu_memory_mb == DEFAULT_GPU_MEMORY_MB
    assert fleet.policy == Policy(minimum_updates=2)
    assert fleet.task == TaskDescription()
    assert fleet.runtime == "process"
    assert fleet.discovery == "multicast"


def test_vehicles_differ_from_the_defaults_and_from_each_other(load: Load) -> None:
    fleet = load(
        """
        name: harbour
        runtime: docker
        discovery: server
        seed: 7
        replay_rate: 2
        synthetic: {frames: 40}
        defaults: {storage: kubo, memory: 512MB, network: {delay: 50ms, loss: 1%}}
        vehicles:
          - {name: van, mine: false, device: "cuda:1", gpu_memory: 1.5GB, cpus: 0.5}
          - {count: 2, storage: embedded, network: {jitter: 5ms, rate: 10mbit}}
          - {camera: {image: /front/image_raw, labels: /v2x/lights, transport: raw}}
        task: {iterations: 4, optimizer: sgd, learning_rate: 0.1}
        policy: {mode: paper, minimum_updates: 1, byzantine_fraction: 0}
        """
    )
    van, second, third, last = fleet.vehicles
    assert (fleet.name, fleet.runtime, fleet.seed) == ("harbour", "docker", 7)
    assert fleet.discovery == "server"
    assert (fleet.replay_rate, fleet.synthetic_frames) == (2, 40)
    assert (van.name, van.mine, van.device, van.cpus) == ("van", False, "cuda:1", 0.5)
    assert (van.memory_bytes, van.gpu_memory_mb, van.storage) == (512 << 20, 1536, "kubo")
    assert van.network == Impairment(delay="50ms", loss="1%")
    assert [v.name for v in fleet.vehicles[1:]] == ["vehicle_01", "vehicle_02", "vehicle_03"]
    assert second.storage == third.storage == "embedded"
    assert second.network.netem == ("delay", "50ms", "5ms", "loss", "1%", "rate", "10mbit")
    assert last.camera == CameraTopics(
        image="/front/image_raw", labels="/v2x/lights", transport="raw"
    )
    assert not last.needs_synthetic_bag
    assert fleet.task == TaskDescription(iterations=4, optimizer="sgd", learning_rate=0.1)
    assert fleet.policy == Policy(
        mode="paper", rule=RULE_OF_MODE["paper"], minimum_updates=1, byzantine_fraction=0.0
    )


def test_the_last_vehicles_attack(load: Load) -> None:
    fleet = load(
        "vehicles: [{malicious: alie}, {count: 4}]\nmalicious: {attack: backdoor, count: 2}"
    )
    assert [v.malicious for v in fleet.vehicles] == ["alie", None, None, "backdoor", "backdoor"]
    assert load("vehicles: 2\nmalicious: {attack: alie, count: 0}").vehicles[-1].malicious is None


@pytest.mark.parametrize(
    "bag", ["bags/*", "[bags/vehicle_00, bags/vehicle_01, bags/vehicle_02]", "[bags/*_00, bags/*]"]
)
def test_bags_are_dealt_out(load: Load, three_bags: list[Path], bag: str) -> None:
    fleet = load(f"vehicles: 3\ndefaults: {{bag: {bag!s}}}")
    expected = three_bags if "*_00" not in bag else [three_bags[0], *three_bags[:2]]
    assert [v.bag for v in fleet.vehicles] == expected


def test_who_has_a_bag_or_camera_of_its_own_is_dealt_none(
    load: Load, three_bags: list[Path]
) -> None:
    fleet = load(
        f"""
        defaults: {{bag: bags/vehicle_*}}
        vehicles:
          - {{bag: {three_bags[2]}}}
          - {{}}
          - {{camera: {{}}}}
          - {{bag: synthetic}}
          - {{}}
          - {{count: 2, bag: bags/vehicle_01}}
        """
    )
    first, second, third = three_bags
    bags = [third, first, None, None, second, second, second]
    assert [v.bag for v in fleet.vehicles] == bags
    assert [v.needs_synthetic_bag for v in fleet.vehicles] == [n == 3 for n in range(7)]


def test_a_command_may_say_other_numbers(load: Load) -> None:
    text = "vehicles: 3\ntask: {iterations: 4, local_epochs: 2}"
    fleet = load(text, vehicles=5, iterations=1)
    assert len(fleet.vehicles) == 5
    assert fleet.policy.minimum_updates == 3
    assert fleet.task == TaskDescription(iterations=1, local_epochs=2)
    assert [v.name for v in load("vehicles: [{name: a}, {name: b}]", vehicles=1).vehicles] == ["a"]


def test_yaml_may_merge_and_repeat(load: Load) -> None:
    fleet = load("vehicles: [&first {mine: false, device: cpu}, {<<: *first, mine: true}]")
    assert [(v.mine, v.device) for v in fleet.vehicles] == [(False, "cpu"), (True, "cpu")]


def test_a_description_becomes_a_fleet_on_disk(
    load: Load, three_bags: list[Path], tmp_path: Path
) -> None:
    fleet = load(
        """
        seed: 2
        replay_rate: 2
        defaults: {device: cpu, gpu_memory: 500MB}
        vehicles:
          - {name: van, mine: false, bag: bags/vehicle_00}
          - {malicious: alie, bag: bags/vehicle_01}
          - {camera: {image: /front/image_raw, transport: raw}}
        task: {iterations: 3, rule: krum, learning_rate: 1}
        """
    )
    bags = [v.bag for v in fleet.vehicles]
    plan = prepare(tmp_path / "fleet", fleet, bags, 1_700_000_000_000)
    assert plan.genesis.policy == fleet.policy
    assert [m.name for m in plan.genesis.members] == ["van", "vehicle_01", "vehicle_02"]
    van, attacker, watching = (_nodes(v.parameters_file) for v in plan.vehicles)
    assert van["vehicle"]["propose"] is True
    assert van["vehicle"]["mine"] is False
    assert van["vehicle"]["task.total_iter"] == 3
    assert van["vehicle"]["task.rule"] == "krum"
    assert van["vehicle"]["task.seed"] == 2
    assert van["trainer"] == {"device": "cpu", "seed": 2000, "gpu_memory_mb": 500}
    assert van["camera_replay"] == {"bag": str(three_bags[0]), "rate": 2.0}
    assert all(type(van[n][name]) is float for n, name in FLOATS)
    assert attacker["vehicle"]["malicious"] == "alie"
    assert "camera_replay" not in watching
    assert watching["perception"] == {"image_transport": "raw"}
    assert plan.vehicles[2].remappings == {"camera/image_raw": "/front/image_raw"}


def _nodes(file: Path) -> dict[str, dict[str, Any]]:
    return {
        node.rpartition("/")[2]: section["ros__parameters"]
        for node, section in yaml.safe_load(file.read_text()).items()
    }


def test_ros_takes_a_cameras_topics(load: Load, tmp_path: Path) -> None:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    fleet = load(
        """
        vehicles:
          - {camera: {image: /front/image_raw, labels: lights, transport: raw}}
          - {camera: {}}
        """
    )
    plan = prepare(tmp_path / "fleet", fleet, [None, None], 1_700_000_000_000)
    resolved = []
    for vehicle in plan.vehicles:
        context = rclpy.Context()
        command = vehicle_command(vehicle)
        rclpy.init(args=command[command.index("--ros-args") :], context=context)
        try:
            node = rclpy.create_node("perception", context=context)
            topics = ("camera/image_raw", "camera/image_raw/compressed", "traffic_lights")
            resolved.append([node.resolve_topic_name(topic) for topic in topics])
            node.destroy_node()
        finally:
            rclpy.shutdown(context=context)
    assert resolved[0] == [
        "/front/image_raw",
        "/vehicle_00/camera/image_raw/compressed",
        "/vehicle_00/lights",
    ]
    assert resolved[1] == [
        "/vehicle_01/camera/image_raw",
        "/vehicle_01/camera/image_raw/compressed",
        "/vehicle_01/traffic_lights",
    ]


# --- the schema is what the rest of the project says ------------------------------------------


def at(*place: str | int) -> dict[str, Any]:
    schema = schema_at(place)
    assert schema is not None
    return schema


def test_the_schema_for_editors_is_that_of_the_models() -> None:
    file = REPOSITORY / "config" / "fleet.schema.json"
    assert json.loads(file.read_text()) == fleet_schema(), (
        "write it anew: python -m bift_ros.fleet.description.schema > config/fleet.schema.json"
    )


def test_the_schema_lists_what_there_is() -> None:
    schema = fleet_schema()
    for place in (("malicious", "attack"), ("vehicles", 0, "malicious")):
        assert set(at(*place)["enum"]) == set(ATTACKS)
    for section in ("task", "policy"):
        assert set(at(section, "rule")["enum"]) == set(RULES)
    assert schema["properties"]["vehicles"]["oneOf"][0]["maximum"] == MAX_MEMBERS
    policy = at("policy")["properties"]
    assert set(policy) == {field.name for field in fields(Policy)}
    assert set(policy["mode"]["enum"]) == set(MODES)
    for name, entry in policy.items():
        assert entry.get("default", getattr(Policy, name)) == getattr(Policy, name), name


def test_the_schemas_bounds_are_the_policys() -> None:
    for name, entry in at("policy")["properties"].items():
        for bound in (entry[b] for b in ("minimum", "maximum") if b in entry):
            value = type(getattr(Policy, name))(bound)
            assert getattr(Policy(**{name: value}), name) == value


def test_the_tasks_bounds_and_defaults_are_the_parameters() -> None:
    parameters = pytest.importorskip("bift_ros.nodes.parameters", reason="needs ROS 2")
    known = {setting.name: setting for setting in parameters.VEHICLE}
    for name, entry in at("task")["properties"].items():
        setting = known[f"task.{'total_iter' if name == 'iterations' else name}"]
        assert (entry.get("minimum"), entry.get("maximum")) == (setting.low, setting.high), name
        assert entry.get("default", "") == setting.default, name


# --- sizes ------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from("KMGT"), st.sampled_from(["B", "iB"]))
def test_a_size_is_its_number_times_its_unit(number: int, prefix: str, suffix: str) -> None:
    assert parse_size(f"{number}{prefix}{suffix}") == number * 1024 ** (1 + "KMGT".index(prefix))


@pytest.mark.parametrize("text", ["", "1", "GB", "1 GBs", "-1GB", "1e3MB", "1gb", "1GB\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 900MB or 1GB"):
        parse_size(text)
