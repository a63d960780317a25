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
from bift_ros.fleet.runtimes.plan import FleetSettings, prepare
from bift_ros.identity.keyfile import KeyFileError, load_key
from bift_ros.storage.kubo.config import swarm_address


@pytest.fixture
def settings(tmp_path: Path) -> FleetSettings:
    return FleetSettings(
        policy=Policy(reward=7),
        timestamp=1_700_000_000_000,
        bags=tuple(tmp_path / f"bag {n}" for n in range(3)),
        replay_rate=2.5,
        task={"task.total_iter": 4, "task.rule": "krum"},
        device="cpu",
        seed=3,
    )


def test_a_plan_has_what_its_vehicles_need(settings: FleetSettings, tmp_path: Path) -> None:
    plan = prepare(tmp_path / "fleet", settings)
    assert [v.name for v in plan.vehicles] == ["vehicle_00", "vehicle_01", "vehicle_02"]
    assert [m.name for m in plan.genesis.members] == [v.name for v in plan.vehicles]
    assert plan.genesis.policy == settings.policy
    assert plan.genesis.timestamp == settings.timestamp
    for vehicle, member in zip(plan.vehicles, plan.genesis.members, strict=True):
        key = vehicle.folder / "key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert load_key(key, None).address == member.address


def test_preparing_again_resumes_the_same_fleet(settings: FleetSettings, tmp_path: Path) -> None:
    first = prepare(tmp_path / "fleet", settings)
    later = replace(settings, timestamp=settings.timestamp + 1, replay_rate=1.0)
    second = prepare(tmp_path / "fleet", later)
    assert second.genesis == first.genesis
    assert second.genesis.hash == first.genesis.hash
    assert second.vehicles == first.vehicles


def test_the_parameters_say_it_all(settings: FleetSettings, tmp_path: Path) -> None:
    plan = prepare(tmp_path / "fleet", settings)
    documents = [yaml.safe_load(v.parameters_file.read_text()) for v in plan.vehicles]
    for number, (vehicle, document) in enumerate(zip(plan.vehicles, documents, strict=True)):
        sections = {
            name: document[f"/{vehicle.name}/{name}"]["ros__parameters"]
            for name in ("vehicle", "trainer", "camera_replay")
        }
        assert sections["vehicle"]["data_dir"] == str(vehicle.folder)
        assert sections["vehicle"]["genesis_file"] == str(plan.genesis_file)
        assert Path(sections["vehicle"]["key_file"]).exists()
        assert sections["vehicle"]["propose"] is (number == 0)
        assert sections["vehicle"]["task.total_iter"] == 4
        assert sections["trainer"] == {"device": "cpu", "seed": 3000 + number}
        assert sections["camera_replay"] == {"bag": str(settings.bags[number]), "rate": 2.5}


@pytest.mark.kubo
def test_vehicles_on_kubo_know_one_another(
    settings: FleetSettings, tmp_path: Path, ipfs: str
) -> None:
    on_kubo = replace(settings, storage="kubo")

    def parameters() -> list[dict[str, Any]]:
        plan = prepare(tmp_path / "fleet", on_kubo)
        texts = [v.parameters_file.read_text() for v in plan.vehicles]
        names = [v.name for v in plan.vehicles]
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


def test_ros_parses_the_parameters(settings: FleetSettings, tmp_path: Path) -> None:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    parameters = pytest.importorskip("bift_ros.nodes.parameters")
    vehicle = prepare(tmp_path / "fleet", settings).vehicles[1]
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
    assert values["bag"] == str(settings.bags[1])
    known = {s.name for s in (*parameters.VEHICLE, *parameters.TRAINER, *parameters.CAMERA_REPLAY)}
    written = yaml.safe_load(vehicle.parameters_file.read_text())
    assert {n for section in written.values() for n in section["ros__parameters"]} <= known


def test_what_lies_there_and_cannot_be_used_is_said(
    settings: FleetSettings, tmp_path: Path
) -> None:
    plan = prepare(tmp_path / "fleet", settings)
    plan.genesis_file.write_text("{}")
    with pytest.raises(GenesisError, match=r"genesis\.json"):
        prepare(tmp_path / "fleet", settings)
    (plan.vehicles[0].folder / "key.pem").write_text("no key")
    with pytest.raises(KeyFileError, match=r"key\.pem"):
        prepare(tmp_path / "fleet", settings)
