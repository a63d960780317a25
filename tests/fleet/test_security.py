"""`security: on` in a fleet's file: what vehicles and containers are given, and who is refused."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from docker.errors import ContainerError

from bift_ros.fleet.deploy.compose import compose_file, swarm_stack
from bift_ros.fleet.deploy.kubernetes import kubernetes_manifests
from bift_ros.fleet.description.file import DescriptionError, load_description
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes import dds_security
from bift_ros.fleet.runtimes.docker.containers import (
    ContainerFleet,
    container_fleet,
)
from bift_ros.fleet.runtimes.docker.engine_containers import try_security
from bift_ros.fleet.runtimes.docker.inputs import SETTINGS, Input
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.plan import prepare
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.processes import vehicle_command
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.security.documents import granted
from bift_ros.security.keystore import SecurityKeystore

SUBNET = IPv4Network("198.18.8.0/21")
TOWN = """
security: on
vehicles:
  - {name: car, camera: {image: /front/image, labels: v2x/lights}}
  - {name: bus, camera: {}}
"""
GIVEN = {
    "cert.pem", "key.pem", "governance.p7s", "permissions.p7s", "identity_ca.cert.pem",
    "permissions_ca.cert.pem",
}  # fmt: skip


def described(folder: Path, text: str = TOWN) -> FleetDescription:
    file = folder / "town.yaml"
    file.write_text(text)
    return load_description(file)


def contained(folder: Path, subnet: IPv4Network | None = SUBNET) -> ContainerFleet:
    fleet = described(folder)
    return container_fleet(folder / "out" / "vehicles", fleet, [None, None], 1, subnet)


def test_it_is_off_unless_the_file_says_so(tmp_path: Path) -> None:
    assert described(tmp_path).security
    plain = described(tmp_path, TOWN.replace("security: on", ""))
    assert not plain.security
    plan = prepare(tmp_path / "vehicles", plain, [None, None], 1)
    assert "--enclave" not in vehicle_command(plan.vehicles[0])


def test_a_discovery_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"town.yaml:2: security: .*discovery: multicast"):
        described(tmp_path, TOWN + "discovery: server\n")


def test_a_process_names_its_enclave(tmp_path: Path) -> None:
    plan = prepare(tmp_path / "vehicles", described(tmp_path), [None, None], 1)
    for vehicle in plan.vehicles:
        command = vehicle_command(vehicle)
        assert command[command.index("--enclave") + 1] == f"/vehicles/{vehicle.name}"


def test_a_camera_of_another_name_may_be_heard_by_its_vehicle_alone(tmp_path: Path) -> None:
    keystore = dds_security.vehicles_keystore(tmp_path / "security", described(tmp_path), 3, 4)
    car, bus = (
        granted((keystore.place(f"/vehicles/{name}") / "permissions.xml").read_bytes())[3]
        for name in ("car", "bus")
    )
    assert {"rt/front/image", "rt/car/v2x/lights"} <= set(car.subscribe)
    assert not {"rt/front/image", "rt/car/v2x/lights"} & set(bus.subscribe)


def test_a_fleets_keystore_is_kept_until_its_domains_or_vehicles_are_others(tmp_path: Path) -> None:
    fleet, folder = described(tmp_path), tmp_path / "security"

    def keys() -> set[bytes]:
        return {file.read_bytes() for file in folder.rglob("key.pem")}

    dds_security.vehicles_keystore(folder, fleet, 3, 4)
    first = keys()
    dds_security.vehicles_keystore(folder, fleet, 3, 4)
    assert keys() == first
    dds_security.vehicles_keystore(folder, fleet, 5, 6)
    second = keys()
    assert not second & first
    more = described(tmp_path, TOWN + "  - {name: van, camera: {}}\n")
    dds_security.vehicles_keystore(folder, more, 5, 6)
    assert not keys() & second


class TestRefused:
    """Before anything starts."""

    def test_by_a_runtime_of_processes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = (
            "INFO\nerror creating node: This Fast DDS version doesn't have the security libraries"
        )
        failed = subprocess.CompletedProcess([], 1, "", said)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
        runtime = ProcessRuntime(FleetFolder(tmp_path / "fleet"))
        with pytest.raises(FleetError, match=r"no DDS security \(error creating .*libraries\)"):
            runtime.check(described(tmp_path))
        assert not (tmp_path / "fleet").exists()
        runtime.check(described(tmp_path, TOWN.replace("security: on", "")))

    def test_where_the_trial_never_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: Any, **__: Any) -> None:
            raise subprocess.TimeoutExpired("python", 60)

        monkeypatch.setattr(subprocess, "run", never)
        with pytest.raises(FleetError, match="does not end"):
            ProcessRuntime(FleetFolder(tmp_path / "fleet")).check(described(tmp_path))

    def test_by_an_engine_whose_image_has_none(self) -> None:
        class Containers:
            def run(self, image: str, command: list[str], **options: Any) -> None:
                assert (image, command[0]) == ("sha256:1", "python")
                assert options["network_mode"] == "none"
                said = b"INFO\nerror creating node: why\n"
                raise ContainerError(None, 1, command, image, said)

        class Client:
            containers = Containers()

        client: Any = Client()
        with pytest.raises(FleetError, match=r"bift:latest has no DDS security \(error .* why\)"):
            try_security(client, "bift:latest", "sha256:1", {})


class TestContainers:
    def test_each_has_its_own_enclave_and_nobody_elses(self, tmp_path: Path) -> None:
        fleet = contained(tmp_path)
        keystore = SecurityKeystore(tmp_path / "out" / "security")
        assert keystore.domains == (0, 1)
        for spec in fleet.containers:
            given = [i for i in spec.inputs if i.target.startswith(f"{SETTINGS}/security/")]
            folder = f"{SETTINGS}/security/enclaves/vehicles/{spec.vehicle}"
            assert {i.target for i in given} == {f"{folder}/{name}" for name in GIVEN}
            assert {i.kind for i in given} == {"secret"}
            place = keystore.place(f"/vehicles/{spec.vehicle}")
            assert {i.source.parent for i in given} == {place}
            assert spec.environment["ROS_SECURITY_ENABLE"] == "true"
            assert spec.environment["ROS_SECURITY_STRATEGY"] == "Enforce"
            assert spec.environment["ROS_SECURITY_KEYSTORE"] == f"{SETTINGS}/security"
            assert spec.command[spec.command.index("--enclave") + 1] == f"/vehicles/{spec.vehicle}"
            domains = [spec.environment[n] for n in ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID")]
            assert domains == ["0", "1"]

    def test_certificates_stay_when_a_fleet_is_made_again(self, tmp_path: Path) -> None:
        def given() -> list[bytes]:
            return [i.source.read_bytes() for c in contained(tmp_path).containers for i in c.inputs]

        assert given() == given()

    @pytest.mark.parametrize("render", [compose_file, swarm_stack])
    def test_compose_and_swarm_give_each_its_own(self, tmp_path: Path, render: Any) -> None:
        subnet = SUBNET if render is compose_file else None
        document = yaml.safe_load(render(contained(tmp_path, subnet), tmp_path))
        for name in ("car", "bus"):
            secrets = {s["source"]: s["target"] for s in document["services"][name]["secrets"]}
            folder = f"{SETTINGS}/security/enclaves/vehicles/{name}"
            assert set(secrets.values()) == {
                f"{SETTINGS}/key.pem", *(f"{folder}/{file}" for file in GIVEN)
            }  # fmt: skip
            for source, target in secrets.items():
                file = tmp_path / document["secrets"][source]["file"]
                assert file.name == Path(target).name
                assert file.parent.name == name

    def test_kubernetes_puts_each_file_in_its_place_unchanged(self, tmp_path: Path) -> None:
        fleet = contained(tmp_path, None)
        documents = list(yaml.safe_load_all(kubernetes_manifests(fleet)))
        for document in documents:
            kubernetes_validate.validate(document, "1.30", strict=True)
        secrets = {d["metadata"]["name"]: d for d in documents if d["kind"] == "Secret"}
        pods = {d["metadata"]["name"]: d for d in documents if d["kind"] == "StatefulSet"}
        for spec in fleet.containers:
            texts = secrets[spec.host]["stringData"]
            given = [i for i in spec.inputs if i.kind == "secret"]
            assert {i.name: i.source.read_bytes() for i in given} == {
                name: text.encode() for name, text in texts.items()
            }
            (settler,) = pods[spec.host]["spec"]["template"]["spec"]["initContainers"]
            for i in given:
                copy = f"install -D -m 400 /given/secret/{i.name} {i.target}"
                assert copy in settler["command"][-1].split(" && ")


def test_no_two_files_of_a_container_have_one_name(tmp_path: Path) -> None:
    for spec in contained(tmp_path).containers:
        names = [given.name for given in spec.inputs]
        assert len(set(names)) == len(names)
    bag = Input(tmp_path, f"{SETTINGS}/bag/one", "bag")
    assert bag.name == "bag-one"
