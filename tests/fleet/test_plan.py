"""A fleet on disk: made once, resumed afterwards, and read by ROS itself."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bift_ros.consensus.exceptions import GenesisError
from bift_ros.consensus.genesis import Policy
from bift_ros.fleet.description.fleet import FleetDescription, TaskDescription, VehicleDescription
from bift_ros.fleet.runtimes import plan
from bift_ros.fleet.runtimes.plan import FleetPlan
from bift_ros.identity.keyfile import KeyFileError, load_key
from bift_ros.storage.kubo.config import swarm_address

START = 1_700_000_000_000


@pytest.fixture
def fleet(tmp_path: Path) -> FleetDescription:
    vehicles = tuple(
        VehicleDescription(f"vehicle_0{n}", bag=tmp_path / f"bag {n}", device="cpu")
        for n in range(3)
    )
    task = TaskDescription(iterations=4, rule="krum")
    return FleetDescription("trio", vehicles, task, Policy(reward=7), seed=3, replay_rate=2.5)


def prepare(folder: Path, fleet: FleetDescription, timestamp: int = START) -> FleetPlan:
    return plan.prepare(folder, fleet, [v.bag for v in fleet.vehicles], timestamp)


def test_a_plan_has_what_its_vehicles_need(fleet: FleetDescription, tmp_path: Path) -> None:
    made = prepare(tmp_path / "fleet", fleet)
    assert [v.name for v in made.vehicles] == ["vehicle_00", "vehicle_01", "vehicle_02"]
    assert [m.name for m in made.genesis.members] == [v.name for v in made.vehicles]
    assert made.genesis.policy == fleet.policy
    assert made.genesis.timestamp == START
    for vehicle, member in zip(made.vehicles, made.genesis.members, strict=True):
        key = vehicle.folder / "key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert load_key(key, None).address == member.address


def test_preparing_again_resumes_the_same_fleet(fleet: FleetDescription, tmp_path: Path) -> None:
    first = prepare(tmp_path / "fleet", fleet)
    second = prepare(tmp_path / "fleet", replace(fleet, replay_rate=1.0), START + 1)
    assert second.genesis == first.genesis
    assert second.genesis.hash == first.genesis.hash
    assert second.vehicles == first.vehicles


def test_the_parameters_say_it_all(fleet: FleetDescription, tmp_path: Path) -> None:
    made = prepare(tmp_path / "fleet", fleet)
    documents = [yaml.safe_load(v.parameters_file.read_text()) for v in made.vehicles]
    for number, (vehicle, document) in enumerate(zip(made.vehicles, documents, strict=True)):
        sections = {
            name: document[f"/{vehicle.name}/{name}"]["ros__parameters"]
            for name in ("vehicle", "trainer", "camera_replay")
        }
        assert sections["vehicle"]["data_dir"] == str(vehicle.folder)
        assert sections["vehicle"]["genesis_file"] == str(made.genesis_file)
        assert Path(sections["vehicle"]["key_file"]).exists()
        assert sections["vehicle"]["propose"] is (number == 0)
        assert sections["vehicle"]["task.total_iter"] == 4
        assert sections["trainer"] == {"device": "cpu", "seed": 3000 + number, "gpu_memory_mb": 900}
        assert sections["camera_replay"] == {"bag": str(fleet.vehicles[number].bag), "rate": 2.5}


@pytest.mark.kubo
def test_vehicles_on_kubo_know_one_another(
    fleet: FleetDescription, tmp_path: Path, ipfs: str
) -> None:
    on_kubo = replace(fleet, vehicles=tuple(replace(v, storage="kubo") for v in fleet.vehicles))

    def parameters() -> list[dict[str, Any]]:
        made = prepare(tmp_path / "fleet", on_kubo)
        texts = [v.parameters_file.read_text() for v in made.vehicles]
        names = [v.name for v in made.vehicles]
        return [
            yaml.safe_load(text)[f"/{name}/vehicle"]["ros__parameters"]
            for name, text in zip(names, texts, strict=True)
        ]

    made = parameters()
    repositories = [tmp_path / "fleet" / f"vehicle_0{n}" / "kubo" for n in range(3)]
    addresses = [swarm_address(path, "127.0.0.1") for path in repositories]
    for number, vehicle in enumerate(made):
        assert vehicle["storage"] == "kubo"
        others = [a for n, a in enumerate(addresses) if n != number]
        assert vehicle["kubo_peers"].split() == others
        key = Path(vehicle["kubo_swarm_key"])
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_text() == (repositories[number] / "swarm.key").read_text()
    assert parameters() == made


def test_ros_parses_the_parameters(fleet: FleetDescription, tmp_path: Path) -> None:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    parameters = pytest.importorskip("bift_ros.nodes.parameters")
    vehicle = prepare(tmp_path / "fleet", fleet).vehicles[1]
    context = rclpy.Context()
    arguments = ["--ros-args", "-r", f"__ns:=/{vehicle.name}", "--params-file"]
    rclpy.init(args=[*arguments, str(vehicle.parameters_file)], context=context)
    try:
        node = rclpy.create_node("vehicle", context=context)
        values = parameters.declare(node, parameters.VEHICLE)
        node.destroy_node()
        replay = rclpy.create_node("camera_replay", context=context)
        values |= parameters.declare(replay, parameters.CAMERA_REPLAY)
        replay.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    assert values["data_dir"] == str(vehicle.folder)
    assert values["task.rule"] == "krum"
    assert values["propose"] is False
    assert values["rate"] == 2.5
    assert values["bag"] == str(fleet.vehicles[1].bag)
    known = {s.name for s in (*parameters.VEHICLE, *parameters.TRAINER, *parameters.CAMERA_REPLAY)}
    written = yaml.safe_load(vehicle.parameters_file.read_text())
    assert {n for section in written.values() for n in section["ros__parameters"]} <= known


def test_what_lies_there_and_cannot_be_used_is_said(
    fleet: FleetDescription, tmp_path: Path
) -> None:
    made = prepare(tmp_path / "fleet", fleet)
    made.genesis_file.write_text("{}")
    with pytest.raises(GenesisError, match=r"genesis\.json"):
        prepare(tmp_path / "fleet", fleet)
    (made.vehicles[0].folder / "key.pem").write_text("no key")
    with pytest.raises(KeyFileError, match=r"key\.pem"):
        prepare(tmp_path / "fleet", fleet)
