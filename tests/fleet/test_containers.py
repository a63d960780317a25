"""One description of each container, and what Compose, Swarm and Kubernetes are told of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from itertools import islice
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bift_ros.fleet.deploy.compose import compose_file, swarm_stack
from bift_ros.fleet.deploy.kubernetes import kubernetes_manifests
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.runtimes.docker import health
from bift_ros.fleet.runtimes.docker.containers import (
    DATA,
    HEALTH_CHECK,
    HEALTH_CHECK_SECONDS,
    USER,
    ContainerFleet,
    container_fleet,
)
from bift_ros.fleet.runtimes.docker.inputs import SETTINGS
from bift_ros.fleet.runtimes.docker.subnets import subnets
from bift_ros.fleet.runtimes.runtime import FleetError

REPOSITORY = Path(__file__).parents[2]
SUBNET = IPv4Network("198.18.8.0/21")
TOWN = """
name: small_town
defaults: {bag: bags/one}
vehicles:
  - {}
  - {name: Taxi, cpus: 1.5, memory: 512MB, malicious: label_flip}
  - {name: bus, network: {delay: 50ms, loss: 1%}, mine: false}
"""
Make = Callable[..., ContainerFleet]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    bag = tmp_path / "bags" / "one"
    bag.mkdir(parents=True)
    (bag / "metadata.yaml").touch()

    def make(text: str = TOWN, subnet: IPv4Network | None = SUBNET) -> ContainerFleet:
        file = tmp_path / "town.yaml"
        file.write_text(text)
        fleet = load_description(file)
        return container_fleet(tmp_path / "out", fleet, [v.bag for v in fleet.vehicles], 1, subnet)

    return make


def parameters_of(fleet: ContainerFleet, number: int, node: str) -> dict[str, Any]:
    spec = fleet.containers[number]
    source = next(i.source for i in spec.inputs if i.target.endswith("parameters.yaml"))
    document = yaml.safe_load(source.read_text())
    parameters: dict[str, Any] = document[f"/{spec.vehicle}/{node}"]["ros__parameters"]
    return parameters


class TestSpec:
    def test_each_vehicle_has_names_an_address_and_limits_of_its_own(self, make: Make) -> None:
        fleet = make()
        assert [c.name for c in fleet.containers] == [
            "bift-small_town-vehicle-00", "bift-small_town-taxi", "bift-small_town-bus",
        ]  # fmt: skip
        assert [c.address for c in fleet.containers] == [f"198.18.8.{n}" for n in (10, 11, 12)]
        assert [c.memory_bytes for c in fleet.containers] == [1 << 30, 512 << 20, 1 << 30]
        assert [c.cpus for c in fleet.containers] == [None, 1.5, None]
        assert {c.labels["bift"] for c in fleet.containers} == {"small_town"}

    def test_parameters_hold_paths_and_addresses_of_the_container(
        self, make: Make, tmp_path: Path
    ) -> None:
        fleet = make()
        vehicle = parameters_of(fleet, 1, "vehicle")
        assert vehicle["data_dir"] == DATA
        assert vehicle["gateway_host"] == "0.0.0.0"
        assert vehicle["gateway_advertised_host"] == "198.18.8.11"
        assert vehicle["allowed_networks"] == "198.18.8.0/21"
        assert vehicle["status_file"] == health.STATUS_FILE
        assert vehicle["malicious"] == "label_flip"
        assert parameters_of(fleet, 1, "camera_replay")["bag"] == f"{SETTINGS}/bag/one"
        for spec in fleet.containers:
            file = next(i.source for i in spec.inputs if i.target.endswith("parameters.yaml"))
            assert str(tmp_path) not in file.read_text()
            assert str(tmp_path) not in " ".join(spec.command)

    def test_all_that_parameters_name_is_given(self, make: Make) -> None:
        fleet = make()
        vehicle = parameters_of(fleet, 0, "vehicle")
        targets = {given.target: given for given in fleet.containers[0].inputs}
        assert targets[vehicle["key_file"]].kind == "secret"
        assert targets[vehicle["genesis_file"]].kind == "setting"
        assert targets[parameters_of(fleet, 0, "camera_replay")["bag"]].kind == "bag"
        assert fleet.containers[0].command[-1] in targets
        assert all(given.source.exists() for given in targets.values())

    def test_only_a_slowed_network_may_be_administered(self, make: Make) -> None:
        plain, _, slow = make().containers
        assert plain.capabilities == ()
        assert plain.command[:3] == ("python", "-m", "bift_ros.nodes.vehicle.process")
        assert slow.capabilities == ("NET_ADMIN",)
        assert "netem delay 50ms loss 1%" in slow.command[2]
        assert slow.command[4:7] == plain.command[:3]

    def test_every_other_vehicle_is_looked_for(self, make: Make) -> None:
        bus = make().containers[2]
        assert bus.environment["BIFT_FLEET_STATIC_PEERS"] == "198.18.8.10;198.18.8.11"
        bus = make(subnet=None).containers[2]
        assert bus.environment["BIFT_FLEET_STATIC_PEERS"] == "vehicle-00;taxi"
        assert bus.address is None

    def test_a_gpu_is_the_only_one_inside(self, make: Make) -> None:
        fleet = make("vehicles: 1\ndefaults: {device: 'cuda:3', bag: bags/one}\n")
        assert fleet.containers[0].gpu == "3"
        assert fleet.containers[0].image.torch == "cuda"
        assert parameters_of(fleet, 0, "trainer")["device"] == "cuda"

    def test_names_that_are_one_to_dns_are_refused(self, make: Make) -> None:
        with pytest.raises(FleetError, match=r"Car.*another name"):
            make("vehicles: [{name: car}, {name: Car}]\ndefaults: {bag: bags/one}\n")

    def test_kubo_is_refused_with_the_remedy(self, make: Make) -> None:
        with pytest.raises(FleetError, match=r"storage: embedded"):
            make("vehicles: 1\ndefaults: {storage: kubo, bag: bags/one}\n")

    def test_keys_stay_when_a_fleet_is_made_again(self, make: Make) -> None:
        def keys() -> list[bytes]:
            inputs = [i for c in make().containers for i in c.inputs]
            return [i.source.read_bytes() for i in inputs if i.kind == "secret"]

        assert keys() == keys()


class TestSubnets:
    def test_all_are_distinct_and_hold_the_largest_fleet(self) -> None:
        found = list(subnets("town"))
        assert len(set(found)) == len(found) == 64
        assert all(net.num_addresses > 1010 for net in found)

    def test_a_fleet_begins_at_its_own(self) -> None:
        first = {name: next(subnets(name)) for name in ("a", "b", "c", "d")}
        assert first == {name: next(islice(subnets(name), 1)) for name in first}
        assert len(set(first.values())) > 1


class TestCompose:
    def test_every_reference_is_defined(self, make: Make, tmp_path: Path) -> None:
        document = yaml.safe_load(compose_file(make(), tmp_path))
        used: dict[str, set[str]] = {"configs": set(), "secrets": set(), "volumes": set()}
        for service in document["services"].values():
            used["volumes"] |= {v["source"] for v in service["volumes"] if v["type"] == "volume"}
            for kind in ("configs", "secrets"):
                used[kind] |= {given["source"] for given in service[kind]}
        for kind, names in used.items():
            assert names == set(document[kind])
        for kind in ("configs", "secrets"):
            for given in document[kind].values():
                assert (tmp_path / given["file"]).is_file()
                assert given["file"].startswith("./")

    def test_it_says_what_the_spec_says(self, make: Make, tmp_path: Path) -> None:
        fleet = make()
        document = yaml.safe_load(compose_file(fleet, tmp_path))
        for spec in fleet.containers:
            service = document["services"][spec.host]
            assert service["mem_limit"] == spec.memory_bytes
            assert service["networks"]["fleet"]["ipv4_address"] == spec.address
            assert tuple(w.replace("$$", "$") for w in service["command"]) == spec.command
            assert service["environment"] == dict(spec.environment)
            assert service["labels"]["bift"] == "small_town"
            assert tuple(service.get("cap_add", ())) == spec.capabilities
        assert "$@" in document["services"]["bus"]["command"][2]
        assert "$$@" in document["services"]["bus"]["command"][2]

    def test_docker_compose_takes_it(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "compose.yaml").write_text(compose_file(make(), tmp_path))
        check(["docker", "compose"], ["--file", str(tmp_path / "compose.yaml"), "config", "-q"])


class TestSwarm:
    def test_secrets_are_the_vehicles_alone(self, make: Make, tmp_path: Path) -> None:
        document = yaml.safe_load(swarm_stack(make(subnet=None), tmp_path))
        for service in document["services"].values():
            (secret,) = service["secrets"]
            assert (secret["uid"], secret["mode"]) == (str(USER), 0o400)
            assert service["deploy"]["endpoint_mode"] == "dnsrr"

    def test_docker_stack_takes_it(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "stack.yaml").write_text(swarm_stack(make(subnet=None), tmp_path))
        said = check(
            ["docker", "stack"], ["config", "--compose-file", str(tmp_path / "stack.yaml")]
        )
        services = yaml.safe_load(said)["services"]
        assert set(services) == {"vehicle-00", "taxi", "bus"}
        assert services["taxi"]["deploy"]["resources"]["limits"]["memory"] == str(512 << 20)

    def test_a_gpu_is_refused(self, make: Make, tmp_path: Path) -> None:
        fleet = make("vehicles: 1\ndefaults: {device: cuda, bag: bags/one}\n", subnet=None)
        with pytest.raises(FleetError, match="Kubernetes"):
            swarm_stack(fleet, tmp_path)


class TestKubernetes:
    def test_every_object_fits_the_schema(self, make: Make) -> None:
        objects = list(yaml.safe_load_all(kubernetes_manifests(make(subnet=None))))
        kinds = [document["kind"] for document in objects]
        assert kinds == ["Namespace"] + ["ConfigMap", "Secret", "Service", "StatefulSet"] * 3
        for document in objects:
            kubernetes_validate.validate(document, "1.30", strict=True)

    def test_names_are_dns_labels(self, make: Make) -> None:
        for document in yaml.safe_load_all(kubernetes_manifests(make(subnet=None))):
            assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", document["metadata"]["name"])

    def test_pods_know_each_other_by_their_services(self, make: Make) -> None:
        fleet = make(subnet=None)
        objects = list(yaml.safe_load_all(kubernetes_manifests(fleet)))
        services = {d["metadata"]["name"] for d in objects if d["kind"] == "Service"}
        assert services == {spec.host for spec in fleet.containers}
        for spec in fleet.containers:
            assert set(spec.environment["BIFT_FLEET_STATIC_PEERS"].split(";")) < services

    def test_a_schema_error_would_be_found(self, make: Make) -> None:
        *_, last = yaml.safe_load_all(kubernetes_manifests(make(subnet=None)))
        last["spec"]["template"]["spec"]["containers"][0]["imagePull"] = "never"
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(last, "1.30", strict=True)


class TestHealth:
    def test_a_fresh_status_is_well(self, tmp_path: Path) -> None:
        status = tmp_path / "status.json"
        status.write_text("{}")
        assert health.main(str(status), oldest=3600) == 0

    def test_an_old_status_is_not(self, tmp_path: Path) -> None:
        status = tmp_path / "status.json"
        status.write_text("{}")
        assert health.main(str(status), oldest=-1) == 1

    def test_no_status_is_not(self, tmp_path: Path) -> None:
        assert health.main(str(tmp_path / "status.json")) == 1

    def test_the_image_asks_as_the_other_renderers_do(self) -> None:
        dockerfile = (REPOSITORY / "docker" / "Dockerfile").read_text()
        command = ", ".join(f'"{word}"' for word in HEALTH_CHECK)
        assert f"HEALTHCHECK --interval={HEALTH_CHECK_SECONDS}s" in dockerfile
        assert f"CMD [{command}]" in dockerfile
        assert f"useradd --uid {USER} " in dockerfile


def check(tool: list[str], arguments: list[str]) -> str:
    """Run a tool of Docker's that checks a file; skip where it is not installed."""
    if shutil.which(tool[0]) is None:
        pytest.skip("no docker client here")
    found = subprocess.run([*tool, "--help"], capture_output=True, text=True)
    if found.returncode != 0 or f"docker {tool[1]}" not in found.stdout:
        pytest.skip(f"the docker client has no `{' '.join(tool)}`")
    checked = subprocess.run([*tool, *arguments], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    return checked.stdout


def test_two_fleets_differ_in_every_name(make: Make) -> None:
    one, other = make(), make(TOWN.replace("small_town", "large_town"))
    assert not {c.name for c in one.containers} & {c.name for c in other.containers}
    assert one.network != other.network
    assert replace(one, name="", network="", containers=()) == replace(
        other, name="", network="", containers=()
    )


@pytest.mark.slow
def test_the_guides_files_are_written_as_it_says(tmp_path: Path) -> None:
    guide = (REPOSITORY / "docs" / "containers.md").read_text()
    (village,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "village.yaml").write_text(village)
    (tmp_path / "bift").symlink_to(REPOSITORY / "bift")
    blocks = re.findall(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    commands = [line for block in blocks for line in block.splitlines()]
    written = [line for line in commands if " compose " in line or " manifests " in line]
    assert len(written) == 3
    for command in written:
        done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    out = tmp_path / "out" / "deploy" / "village"
    names = ("compose.yaml", "kubernetes.yaml", "stack.yaml")
    for name in names:
        assert (out / name).stat().st_mode & 0o777 == 0o600
    assert "registry.example/bift:1" in (out / "kubernetes.yaml").read_text()
