"""Containers that find each other through a discovery server, and what they do without it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from docker.client import DockerClient
from engine_fleet import DEADLINE, Trio, on_one_tip

from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runtimes.docker.containers import VEHICLE_LABEL
from bift_ros.fleet.runtimes.folder import FleetFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * DEADLINE)]


@pytest.fixture(scope="module")
def trio(
    tmp_path_factory: pytest.TempPathFactory, engine: DockerClient, image: None
) -> Iterator[Trio]:
    trio = Trio(tmp_path_factory.mktemp("disco"), engine, "disco", 3, "discovery: server\n")
    try:
        trio.up()
        yield trio
    finally:
        if any(trio.left().values()):  # after a test that failed
            trio.bift("down")


# In this order: each goes on with the fleet that the one before has left.


def test_who_knows_the_others_learns_without_the_server(trio: Trio) -> None:
    trio.named("discovery").kill()
    said = trio.wait(on_one_tip)
    assert all(v.chain.peers == 2 for v in said.values())


def test_who_comes_later_waits_for_the_server(trio: Trio) -> None:
    newcomer = trio.container(2)
    newcomer.kill()
    newcomer.wait(timeout=DEADLINE)
    trio.wait(lambda vehicles: not vehicles["vehicle_02"])
    newcomer.start()
    alone = trio.wait(lambda vehicles: bool(vehicles["vehicle_02"]))
    assert alone["vehicle_02"].chain.peers == 0
    trio.named("discovery").start()
    trio.wait(lambda vehicles: on_one_tip(vehicles) and vehicles["vehicle_02"].chain.peers == 2)


def test_the_server_is_no_vehicle_and_keeps_nothing(trio: Trio) -> None:
    attributes = trio.named("discovery").attrs
    assert VEHICLE_LABEL not in attributes["Config"]["Labels"]
    assert {mount["Type"] for mount in attributes["Mounts"]} == {"tmpfs"}
    assert attributes["Config"]["Healthcheck"]["Test"] == ["NONE"]
    rows = json.loads(trio.bift("status", "--json"))
    assert [row["name"] for row in rows] == ["vehicle_00", "vehicle_01", "vehicle_02"]
    assert "discovery" not in trio.bift("logs")
    left = trio.left()
    assert len(left["containers"]) == 4
    assert len(left["volumes"]) == 3


def test_vehicles_have_heard_of_each_other_from_the_server_alone(trio: Trio) -> None:
    for number in range(3):
        environment = trio.container(number).attrs["Config"]["Env"]
        assert any(pair.startswith("BIFT_FLEET_DISCOVERY_SERVER=198.") for pair in environment)
        assert not any(pair.startswith("BIFT_FLEET_STATIC_PEERS=") for pair in environment)


def test_a_command_in_a_container_hears_all(trio: Trio) -> None:
    command = "/opt/bift/scripts/enter python -m bift_ros.console system show --json"
    shown = trio.container(1).exec_run(f"{command} --expect 3 --wait 300", stderr=False)
    assert len(json.loads(shown.output)) == 3


def test_a_second_up_resumes_the_kept_chain_and_down_leaves_nothing(trio: Trio) -> None:
    (tip,) = {v.chain.tip for v in trio.wait(on_one_tip).values()}
    trio.bift("down", "--keep-data")
    left = trio.left()
    assert left["containers"] == left["networks"] == []
    assert len(left["volumes"]) == 3
    assert Fleet(FleetFolder(trio.fleets / trio.name)).ended == [
        "vehicle_00", "vehicle_01", "vehicle_02",
    ]  # fmt: skip
    trio.up()
    assert {v.chain.tip for v in trio.wait(on_one_tip).values()} == {tip}
    trio.bift("down")
    assert trio.left() == {"containers": [], "networks": [], "volumes": []}
