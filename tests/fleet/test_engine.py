"""A fleet of three containers on a real engine, from the image's build to the last volume."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.client import DockerClient
from docker.errors import ContainerError, NotFound
from engine_fleet import BASE, CONSOLE, DEADLINE, Trio, on_one_tip

from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.reading import outcome_of
from bift_ros.fleet.runtimes.docker.containers import CPU_IMAGE, USER
from bift_ros.fleet.runtimes.docker.engine import DockerRuntime
from bift_ros.fleet.runtimes.folder import FleetFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * DEADLINE)]


@pytest.fixture(scope="module")
def trio(
    tmp_path_factory: pytest.TempPathFactory, engine: DockerClient, image: None
) -> Iterator[Trio]:
    trio = Trio(tmp_path_factory.mktemp("trio"), engine)
    try:
        trio.up()
        yield trio
    finally:
        if any(trio.left().values()):  # after a test that failed
            trio.bift("down")


# In this order: each goes on with the fleet that the one before has left.


def test_three_vehicles_learn_and_agree(trio: Trio) -> None:
    said = trio.wait(on_one_tip)
    assert all(v.chain.peers == 2 for v in said.values())
    assert all(v.dataset.samples > 0 for v in said.values())


def test_a_container_is_closed_and_limited(trio: Trio) -> None:
    addresses = set()
    for number in range(3):
        attributes = trio.container(number).attrs
        assert attributes["Config"]["User"] == "bift"
        assert attributes["HostConfig"]["Memory"] == 1 << 30
        assert attributes["HostConfig"]["CapDrop"] == ["ALL"]
        assert not attributes["HostConfig"]["CapAdd"]
        assert {mount["Type"] for mount in attributes["Mounts"]} == {"volume"}
        (network,) = attributes["NetworkSettings"]["Networks"].values()
        addresses.add(network["IPAddress"])
        key = trio.container(number).exec_run(["stat", "-c", "%u %a", "/etc/bift/key.pem"])
        assert key.output.decode().split() == [str(USER), "400"]
    assert len(addresses) == 3


def test_the_health_check_finds_it_well(trio: Trio) -> None:
    check = trio.container(0).attrs["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    assert trio.container(0).exec_run(check[1:]).exit_code == 0


def test_a_vehicle_hears_the_others_over_dds(trio: Trio) -> None:
    command = "/opt/bift/scripts/enter python -m bift_ros.console system show --json"
    shown = trio.container(1).exec_run(f"{command} --expect 3 --wait 300", stderr=False)
    assert {v["name"] for v in json.loads(shown.output)} == {
        "vehicle_00", "vehicle_01", "vehicle_02",
    }  # fmt: skip


def test_a_killed_vehicle_comes_back_to_the_tip(trio: Trio) -> None:
    (tip,) = {v.chain.tip for v in trio.wait(on_one_tip).values()}
    killed = trio.container(2)
    killed.kill()
    killed.wait(timeout=DEADLINE)
    trio.wait(lambda vehicles: not vehicles["vehicle_02"])
    shown = subprocess.run(
        [*CONSOLE, "status", str(trio.file), "--json", "--fleets", str(trio.fleets)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert shown.returncode == 1
    assert [row["state"] == "ended" for row in json.loads(shown.stdout)] == [False, False, True]
    killed.start()
    said = trio.wait(on_one_tip)
    assert said["vehicle_02"].chain.tip == tip


def test_a_vehicle_that_was_cut_off_comes_back(trio: Trio) -> None:
    trio.wait(on_one_tip)
    address = _address(trio, 1)
    runtime = DockerRuntime(FleetFolder(trio.fleets / trio.name))
    runtime.disconnect(["vehicle_01"])
    assert _address(trio, 1) is None
    runtime.connect()
    assert _address(trio, 1) == address
    trio.wait(on_one_tip)


def _address(trio: Trio, number: int) -> str | None:
    """Its own in the fleet's network; None where it is in none."""
    networks = trio.container(number).attrs["NetworkSettings"]["Networks"].values()
    return next((str(network["IPAddress"]) for network in networks), None)


def test_logs_are_the_vehicles(trio: Trio) -> None:
    lines = trio.bift("logs", "--vehicle", "vehicle_01").splitlines()
    assert any("serves its files at http://198." in line for line in lines)


def test_a_second_up_resumes_the_kept_chain(trio: Trio) -> None:
    (tip,) = {v.chain.tip for v in trio.wait(on_one_tip).values()}
    trio.bift("down", "--keep-data")
    left = trio.left()
    assert left["containers"] == left["networks"] == []
    assert len(left["volumes"]) == 3
    fleet = Fleet(FleetFolder(trio.fleets / trio.name))
    with fleet.data_of("vehicle_01") as folder:
        genesis = load_genesis(fleet.folder.vehicles / "genesis.json")
        kept = outcome_of(folder, genesis)
    assert kept.problem is None
    assert kept.state.tip_hash.hex() == tip
    assert trio.left()["containers"] == []
    assert "serves its files at" in trio.bift("logs", "--vehicle", "vehicle_01")
    trio.bift("up", "--detach", "--timeout", str(int(DEADLINE)))
    assert {v.chain.tip for v in trio.wait(on_one_tip).values()} == {tip}


def test_down_leaves_nothing(trio: Trio) -> None:
    trio.bift("down")
    assert trio.left() == {"containers": [], "networks": [], "volumes": []}
    assert not (trio.fleets / trio.name).exists()


def test_an_interrupted_up_leaves_nothing(
    tmp_path: Path, engine: DockerClient, image: None
) -> None:
    trio = Trio(tmp_path, engine)
    starting = subprocess.Popen([*CONSOLE, "up", str(trio.file), "--fleets", str(trio.fleets)])
    deadline = time.monotonic() + DEADLINE
    while not _exists(trio, 0):
        assert starting.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    starting.terminate()
    starting.wait(timeout=DEADLINE)
    left = trio.left()
    assert left["containers"] == left["networks"] == []
    trio.bift("down")
    assert trio.left()["volumes"] == []


def _exists(trio: Trio, number: int) -> bool:
    try:
        return bool(trio.container(number))
    except NotFound:
        return False


def test_a_vehicle_may_slow_its_network_without_being_root(
    engine: DockerClient, image: None
) -> None:
    command = "tc qdisc replace dev eth0 root netem delay 1ms && tc qdisc show dev eth0"
    try:
        shown = engine.containers.run(
            CPU_IMAGE.tag, ["sh", "-c", command], remove=True,
            cap_drop=["ALL"], cap_add=["NET_ADMIN"],
        )  # fmt: skip
    except ContainerError as error:
        if b"qdisc kind is unknown" in error.stderr:
            pytest.skip("this kernel has no network emulator (module sch_netem)")
        raise
    assert b"netem" in shown
    assert b"delay 1ms" in shown


def test_the_image_has_no_root_and_no_trace_of_the_build(engine: DockerClient, image: None) -> None:
    look = "id -u; ls /usr/local/share/ca-certificates docker requirements 2>&1; touch /opt/bift/x"
    said = engine.containers.run(
        CPU_IMAGE.tag, ["sh", "-c", f"{look} 2>&1 || true"], remove=True, network_mode="none"
    ).decode()
    assert said.startswith(f"{USER}\n")
    assert "ca.crt" not in said
    assert "Permission denied" in said


def test_the_guide_works_from_top_to_bottom(tmp_path: Path, image: None) -> None:
    root = Path(__file__).parents[2]
    guide = (root / "docs" / "containers.md").read_text()
    (village,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    script, *_ = re.findall(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "village.yaml").write_text(village)
    (tmp_path / "bift").symlink_to(root / "bift")
    script = script.replace("fleet build", f"fleet build --base {BASE}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "3 vehicles heard each other" in done.stdout
