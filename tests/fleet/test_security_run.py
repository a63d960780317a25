"""DDS security between real processes: a fleet learns with it, and nobody else gets in.

Where ROS' Fast DDS was built without it, BIFT_TEST_SECURE_LIBRARIES may name a folder with the
libraries of one that was; else these tests skip.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from secured_process import Node, Variables, joined

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runtimes.dds_security import TRIAL
from bift_ros.fleet.runtimes.folder import FleetFolder, vehicle_log
from bift_ros.security.environment import ENCLAVE, secured
from bift_ros.security.keystore import SecurityKeystore

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(600)]

VEHICLES = ("vehicle_00", "vehicle_01", "vehicle_02")
TOWN = """
security: on
vehicles: 3
defaults: {device: cpu}
task: {iterations: 2, local_epochs: 1}
synthetic: {frames: 60}
replay_rate: 8
"""
DEADLINE = 240.0
TIPS = "/bift/tips"
Join = Callable[..., Node]


@pytest.fixture(scope="module")
def libraries() -> Variables:
    """Under which ROS has DDS security."""
    folder = os.environ.get("BIFT_TEST_SECURE_LIBRARIES")
    before = os.environ.get("LD_LIBRARY_PATH", "")
    variables = {"LD_LIBRARY_PATH": f"{folder}:{before}"} if folder else {}
    trial = subprocess.run(
        [sys.executable, *TRIAL], env={**os.environ, **variables}, capture_output=True, text=True
    )
    if trial.returncode:
        pytest.skip(f"ROS has no DDS security here: {trial.stderr.splitlines()[-1]}")
    return variables


@pytest.fixture(scope="module")
def town(
    surroundings: Any, libraries: Variables, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """A fleet of three that has DDS security."""
    home = tmp_path_factory.mktemp("home")
    (home / "town.yaml").write_text(TOWN)
    where = (home / "town.yaml", "--fleets", home / "fleets")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in libraries.items():
            patch.setenv(name, value)
        patch.setenv(ENCLAVE, "/observer")  # as a person has it who also looks at fleets
        try:
            up = surroundings.bift("fleet", "up", *where, "--detach")
            assert up.returncode == 0, up.stderr
            yield Fleet(FleetFolder(home / "fleets" / "town"))
        finally:
            surroundings.bift("fleet", "down", *where)
        assert surroundings.left_over() == []


@pytest.fixture
def join(libraries: Variables, town: Fleet) -> Iterator[Join]:
    """Joins one of the fleet's buses, with an enclave of its keystore or another's, or without."""
    document = json.loads(town.folder.processes.read_text())
    around = {k: v for k, v in document["environment"].items() if "SECURITY" not in k}
    with ExitStack() as nodes:

        def join(enclave: str | None, bus: str = "FLEET", keystore: Path | None = None) -> Node:
            environment = {**around, **libraries}
            if enclave is not None:
                folder = str(keystore or town.folder.security)
                environment |= {**secured(folder), ENCLAVE: enclave}
            return nodes.enter_context(joined(environment, bus, "secured"))

        yield join


def refusals(town: Fleet) -> dict[str, int]:
    """How many messages each vehicle has refused so far."""
    with town.listening() as monitor:
        assert monitor.wait(lambda heard: all(heard.get(n) for n in VEHICLES), DEADLINE)
        return {name: status.chain.refused for name, status in monitor.vehicles.items() if status}


def test_they_learn(town: Fleet) -> None:
    with town.listening() as monitor:
        learned = monitor.wait(
            lambda heard: all((s := heard.get(n)) and s.task.current_iter == 2 for n in VEHICLES),
            DEADLINE,
        )
        assert learned, monitor.vehicles
    for name in VEHICLES:
        log = vehicle_log(town.folder.vehicle(name)).read_text()
        assert f"Found security directory: {town.folder.security}/enclaves/vehicles/{name}" in log
        assert "Traceback" not in log


def test_their_owner_and_observers_are_heard(
    town: Fleet, surroundings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = json.loads(town.folder.processes.read_text())["environment"]
    for name, value in {**environment, ENCLAVE: "/observer"}.items():
        monkeypatch.setenv(name, value)
    shown = surroundings.bift("system", "show", "--expect", 3, "--wait", 60, "--json")
    assert shown.returncode == 0, shown.stderr
    assert [row["name"] for row in json.loads(shown.stdout)] == list(VEHICLES)


def test_a_monitor_runs_as_an_observer(
    town: Fleet, join: Join, libraries: Variables, tmp_path: Path
) -> None:
    around = json.loads(town.folder.processes.read_text())["environment"]
    with (tmp_path / "log").open("wb") as log:
        monitor = subprocess.Popen(
            [sys.executable, "-m", "bift_ros.nodes.observer.monitor_node"],
            env={**os.environ, **around, **libraries, ENCLAVE: "/observer"},
            stdout=log,
            stderr=log,
        )
        try:
            observer = join("/observer", "OWN")
            for topic in ("/diagnostics", "/bift/scene/chain", "/bift/monitor/vehicle_02/stake"):
                assert observer("publishers", topic, wanted=1) == 1, (tmp_path / "log").read_text()
        finally:
            monitor.kill()
            monitor.wait()


@pytest.mark.parametrize("kind", ["stranger", "forger"])
def test_who_has_no_keys_sees_nothing_and_is_heard_by_nobody(
    town: Fleet, join: Join, tmp_path: Path, kind: str
) -> None:
    """A forger has a vehicle's certificate, but has made its permissions itself."""
    enclave, keystore = None, tmp_path / "forged"
    if kind == "forger":
        enclave = "/vehicles/vehicle_01"
        domains = SecurityKeystore(town.folder.security).domains
        forged = SecurityKeystore.create(keystore, {"vehicle_01": ()}, *domains, days=1)
        real = SecurityKeystore(town.folder.security).place(enclave)
        for name in ("cert.pem", "key.pem", "identity_ca.cert.pem"):
            shutil.copy(real / name, forged.place(enclave) / name)
    before = refusals(town)
    stranger, on_their_own = join(enclave, "FLEET", keystore), join(enclave, "OWN", keystore)
    assert stranger("say", TIPS) == stranger("hear", TIPS) == "made"
    observer = join("/observer")
    assert observer("hear", TIPS) == "made"
    assert observer("publishers", TIPS, wanted=3) == 3  # and not the stranger's
    own_observer = join("/observer", "OWN")
    for name in VEHICLES:
        assert own_observer("publishers", f"/{name}/status", wanted=1) == 1
    assert observer("heard", TIPS, True, wanted=True)
    assert set(stranger("topics")) <= {"ros_discovery_info", "rt/parameter_events", "rt/bift/tips"}
    assert stranger("publishers", TIPS) == 1  # its own
    assert not stranger("heard", TIPS, True)
    assert not observer("heard", TIPS, False)
    assert set(on_their_own("topics")) <= {"ros_discovery_info", "rt/parameter_events"}
    assert refusals(town) == before


@pytest.mark.parametrize(
    ("enclave", "bus", "allowed", "denied"),
    [
        (
            "/vehicles/vehicle_01",
            "FLEET",
            [
                ("serve", "/vehicle_01/get_headers"), ("call", "/vehicle_00/get_headers"),
                ("say", TIPS), ("hear", TIPS),
            ],
            [
                ("serve", "/vehicle_00/get_headers"), ("serve", "/vehicle_00/get_blocks"),
                ("serve", "/vehicle_00/get_group_keys"), ("serve", "/vehicle_01/set_parameters"),
                ("hear", "/parameter_events"), ("say", "/anything"),
            ],
        ),
        (
            "/vehicles/vehicle_01",
            "OWN",
            [("say", "/vehicle_01/status"), ("hear", "/vehicle_01/traffic_lights")],
            [
                ("say", "/vehicle_00/status"), ("say", "/vehicle_00/traffic_lights"),
                ("say", "/vehicle_00/camera/image_raw/compressed"),
                ("hear", "/vehicle_00/camera/image_raw/compressed"),
                ("serve", "/vehicle_00/get_state"), ("serve", "/vehicle_00/owner_job"),
                ("call", "/vehicle_00/owner_job"), ("say", "/clock"),
            ],
        ),
        (
            "/observer",
            "FLEET",
            [("hear", TIPS), ("call", "/vehicle_00/get_blocks")],
            [
                ("say", TIPS), ("say", "/bift/blocks"), ("say", "/bift/transactions"),
                ("serve", "/vehicle_00/get_blocks"), ("call", "/vehicle_00/get_group_keys"),
            ],
        ),
        (
            "/observer",
            "OWN",
            [("hear", "/vehicle_00/status"), ("call", "/vehicle_00/submit_transaction")],
            [("say", "/vehicle_00/traffic_lights"), ("serve", "/vehicle_00/get_state")],
        ),
    ],
)  # fmt: skip
def test_nobody_does_what_is_anothers(
    join: Join, enclave: str, bus: str, allowed: list[Any], denied: list[Any]
) -> None:
    node = join(enclave, bus)
    assert {(*what, node(*what)) for what in allowed} == {(*what, "made") for what in allowed}
    assert {(*what, node(*what)) for what in denied} == {(*what, "refused") for what in denied}


def test_what_is_allowed_on_one_bus_is_heard_by_nobody_on_the_other(join: Join) -> None:
    """Fast DDS 2.14 lets a process say it, as if a permission were for all domains."""
    vehicle, observer = join("/vehicles/vehicle_01", "OWN"), join("/observer", "OWN")
    assert observer("hear", TIPS) == observer("hear", "/vehicle_01/status") == "made"
    vehicle("say", TIPS)
    assert vehicle("say", "/vehicle_01/status") == "made"
    assert observer("heard", "/vehicle_01/status", False, wanted=True)
    assert not observer("heard", TIPS, False)


def test_who_is_revoked_is_heard_by_nobody_who_knows(
    libraries: Variables, surroundings: Any, tmp_path: Path
) -> None:
    environment = {**surroundings.environment, **libraries}
    domains = (int(environment[n]) for n in ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID"))
    names: dict[str, tuple[str, ...]] = {"car": (), "bus": (), "van": ()}
    keystore = SecurityKeystore.create(tmp_path / "security", names, *domains, days=1)
    stolen = tmp_path / "stolen"
    shutil.copytree(keystore.folder, stolen)
    keystore.revoke("van")

    def member(name: str, folder: Path) -> Any:
        variables = {**secured(str(folder)), ENCLAVE: f"/vehicles/{name}"}
        return joined({**environment, **variables}, "FLEET", name)

    with member("van", stolen) as van, member("bus", keystore.folder) as bus:
        assert van("say", TIPS) == bus("say", TIPS) == "made"
        with member("car", stolen) as unknowing:
            assert unknowing("publishers", TIPS, wanted=2) == 2
        with member("car", keystore.folder) as car:
            assert car("publishers", TIPS, wanted=1) == 1
            assert bus("publishers", TIPS) == 1  # its own
