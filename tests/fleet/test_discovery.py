"""Fleets whose vehicles find each other through a discovery server."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bift_ros.fleet.deploy.compose import compose_file, swarm_stack
from bift_ros.fleet.deploy.kubernetes import kubernetes_manifests
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.runtimes.docker.containers import DATA, ContainerFleet, container_fleet
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.runtime import FleetError

SUBNET = IPv4Network("198.18.8.0/21")
COMMAND = ["fast-discovery-server", "--server-id", "0", "--udp-address"]


@pytest.fixture
def on_one_host(tmp_path: Path) -> ContainerFleet:
    return containers(tmp_path, SUBNET)


@pytest.fixture
def on_many_hosts(tmp_path: Path) -> ContainerFleet:
    return containers(tmp_path, None)


def containers(
    folder: Path, subnet: IPv4Network | None, more: str = "discovery: server"
) -> ContainerFleet:
    file = folder / "town.yaml"
    file.write_text(
        "vehicles: [{camera: {}}, {camera: {}, network: {delay: 50ms}}]\n" + more + "\n"
    )
    fleet = load_description(file)
    return container_fleet(folder / "out", fleet, [None, None], 1, subnet)


class TestSpec:
    def test_the_server_comes_first_below_the_vehicles(self, on_one_host: ContainerFleet) -> None:
        server, *vehicles = on_one_host.containers
        assert server.vehicle is None
        assert server.name == "bift-town-discovery"
        assert server.labels == {"bift": "town"}
        assert server.inputs == ()
        assert list(server.command) == [*COMMAND, "198.18.8.9", "--udp-port", "11811"]
        assert [c.address for c in vehicles] == ["198.18.8.10", "198.18.8.11"]

    def test_vehicles_ask_it_and_nobody_else(self, on_one_host: ContainerFleet) -> None:
        for spec in on_one_host.containers[1:]:
            assert spec.environment["BIFT_FLEET_DISCOVERY_SERVER"] == "198.18.8.9:11811"
            assert "BIFT_FLEET_STATIC_PEERS" not in spec.environment

    def test_without_addresses_they_wait_for_its_name(self, on_many_hosts: ContainerFleet) -> None:
        server, plain, slow = on_many_hosts.containers
        assert list(server.command) == [*COMMAND, "0.0.0.0", "--udp-port", "11811"]
        assert plain.environment["BIFT_FLEET_DISCOVERY_SERVER"] == "discovery:11811"
        wait = "until getent hosts discovery >/dev/null; do sleep 1; done"
        assert plain.command[:3] == ("sh", "-c", f'{wait} && exec "$@"')
        assert slow.command[2].startswith("tc qdisc replace")
        assert slow.command[2].endswith(f' && {wait} && exec "$@"')
        assert (
            slow.command[4:7]
            == plain.command[4:7]
            == ("python", "-m", "bift_ros.nodes.vehicle.process")
        )

    def test_by_multicast_there_is_none(self, tmp_path: Path) -> None:
        fleet = containers(tmp_path, SUBNET, "discovery: multicast")
        assert all(spec.vehicle is not None for spec in fleet.containers)
        assert "BIFT_FLEET_DISCOVERY_SERVER" not in fleet.containers[0].environment

    def test_no_vehicle_may_have_its_name(self, tmp_path: Path) -> None:
        file = tmp_path / "town.yaml"
        file.write_text("vehicles: [{name: Discovery, camera: {}}]\ndiscovery: server\n")
        fleet = load_description(file)
        with pytest.raises(FleetError, match=r"vehicle Discovery .*give it another name"):
            container_fleet(tmp_path / "out", fleet, [None], 1, SUBNET)


class TestRenderers:
    def test_compose(self, on_one_host: ContainerFleet, tmp_path: Path) -> None:
        document = yaml.safe_load(compose_file(on_one_host, tmp_path))
        server = document["services"]["discovery"]
        assert server["networks"]["fleet"]["ipv4_address"] == "198.18.8.9"
        assert server["volumes"] == [{"type": "tmpfs", "target": DATA}]
        assert server["healthcheck"] == {"disable": True}
        assert "user" not in server
        assert set(document["volumes"]) == {"vehicle-00", "vehicle-01"}
        assert "healthcheck" not in document["services"]["vehicle-00"]

    def test_swarm_leads_the_servers_name_to_an_address_that_stays(
        self, on_many_hosts: ContainerFleet, tmp_path: Path
    ) -> None:
        services = yaml.safe_load(swarm_stack(on_many_hosts, tmp_path))["services"]
        assert "endpoint_mode" not in services["discovery"]["deploy"]
        assert services["vehicle-00"]["deploy"]["endpoint_mode"] == "dnsrr"
        assert services["discovery"]["healthcheck"] == {"disable": True}
        assert services["discovery"]["secrets"] == []

    def test_kubernetes(self, on_many_hosts: ContainerFleet) -> None:
        objects = list(yaml.safe_load_all(kubernetes_manifests(on_many_hosts)))
        for document in objects:
            kubernetes_validate.validate(document, "1.30", strict=True)
        _, service, deployment, *vehicles = objects
        assert (service["kind"], deployment["kind"]) == ("Service", "Deployment")
        assert service["metadata"]["name"] == "discovery"
        assert "clusterIP" not in service["spec"]
        (port,) = service["spec"]["ports"]
        assert (port["port"], port["protocol"]) == (11811, "UDP")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"] == labels
        for vehicle in vehicles:
            assert not labels.items() <= vehicle["metadata"]["labels"].items()
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert "livenessProbe" not in container
        assert container["args"][: len(COMMAND)] == COMMAND


# In a process of its own: Fast DDS asks the environment once in its life.
LISTEN = """
import os, re, sys
from pathlib import Path
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.folder import FleetFolder

names = ("vehicle_00", "vehicle_01")
os.environ.update(ProcessRuntime(FleetFolder(Path(sys.argv[1]))).environment)
assert re.fullmatch(r"127.0.0.1:[0-9]+", os.environ["BIFT_FLEET_DISCOVERY_SERVER"])
assert os.environ["BIFT_FLEET_SUPER_CLIENT"] == "TRUE"
from bift_ros.nodes.observer.monitor import FleetMonitor
monitor = FleetMonitor()
for name in names:
    monitor.watch(name)
assert monitor.wait(
    lambda heard: all((s := heard.get(n)) and s.task.current_iter == 1 for n in names),
    timeout=200,
), monitor.vehicles
monitor.close()
"""


class TestProcesses:
    def test_the_program_is_looked_for_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "town.yaml"
        file.write_text("vehicles: 2\ndiscovery: server\n")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FleetError, match=r"no `fast-discovery-server` here.*multicast"):
            ProcessRuntime(FleetFolder(tmp_path / "town")).check(load_description(file))

    @pytest.mark.ros
    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_a_fleet_learns_and_goes_down_whole(self, surroundings: Any, tmp_path: Path) -> None:
        pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
        file, fleets = tmp_path / "disco.yaml", tmp_path / "fleets"
        file.write_text(
            "vehicles: 2\ndiscovery: server\nsynthetic: {frames: 20}\nreplay_rate: 8\n"
            "defaults: {device: cpu}\ntask: {iterations: 1, local_epochs: 1}\n"
        )

        def bift(action: str, *options: object) -> str:
            done = surroundings.bift("fleet", action, file, "--fleets", fleets, *options)
            assert done.returncode == 0, done.stdout + done.stderr
            said: str = done.stdout
            return said

        runtime = ProcessRuntime(FleetFolder(fleets / "disco"))
        try:
            bift("up", "--detach")
            heard = subprocess.run(
                [sys.executable, "-c", LISTEN, fleets / "disco"],
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert heard.returncode == 0, heard.stderr
            assert any("fast-discovery-server" in line for line in surroundings.left_over())
            assert set(runtime.running()) == {"vehicle_00", "vehicle_01"}
        finally:
            bift("down")
        assert surroundings.left_over() == []
        assert not (fleets / "disco").exists()

    @pytest.mark.ros
    @pytest.mark.slow
    def test_a_server_that_does_not_start_is_told_of(
        self, surroundings: Any, tmp_path: Path
    ) -> None:
        tools, file = tmp_path / "tools", tmp_path / "disco.yaml"
        tools.mkdir()
        (tools / "fast-discovery-server").write_text("#!/bin/sh\necho no socket; exit 1\n")
        (tools / "fast-discovery-server").chmod(0o755)
        file.write_text("vehicles: 2\ndiscovery: server\nsynthetic: {frames: 20}\n")
        path = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        done = type(surroundings)({**surroundings.environment, **path}, surroundings.token).bift(
            "fleet", "up", file, "--fleets", tmp_path / "fleets"
        )
        assert done.returncode == 2
        assert "the discovery server doesn't start: no socket" in done.stderr
        assert surroundings.left_over() == []
