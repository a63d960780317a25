"""Vehicles as processes: one without data, one with a damaged chain, some that cannot start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from process_fleet import running

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.srv import GetBlocks, OwnerJob

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import Verification
from bift_ros.consensus.encoding import encode
from bift_ros.consensus.genesis import Policy, load_genesis
from bift_ros.fleet.description.fleet import FleetDescription, TaskDescription, VehicleDescription
from bift_ros.fleet.runs.reading import outcome_of
from bift_ros.fleet.runtimes.folder import FleetFolder, vehicle_log
from bift_ros.fleet.runtimes.plan import FleetPlan, prepare
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.processes import vehicle_command
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.perception.bag_writer import BagWriter
from bift_ros.storage.cid import cid_of

pytestmark = [pytest.mark.ros, pytest.mark.slow]

START = 1_700_000_000_000
DEADLINE = 150.0


def fleet_of(bags: tuple[Path, ...], **policy: Any) -> FleetDescription:
    return FleetDescription(
        "few",
        tuple(
            VehicleDescription(f"vehicle_0{n}", bag=bag, device="cpu") for n, bag in enumerate(bags)
        ),
        TaskDescription(iterations=2, local_epochs=1, rule="fedavg"),
        Policy(**policy),
        replay_rate=2.0,
    )


@contextlib.contextmanager
def watching(fleet: FleetDescription) -> Iterator[tuple[FleetMonitor, dict[str, set[str]]]]:
    """A monitor, and every state that each vehicle was seen in."""
    states: dict[str, set[str]] = {v.name: set() for v in fleet.vehicles}
    monitor = FleetMonitor(lambda status: states[status.name].add(status.state))
    try:
        for vehicle in fleet.vehicles:
            monitor.watch(vehicle.name)
        yield monitor, states
    finally:
        monitor.close()


def wait_for(
    runtime: ProcessRuntime, monitor: FleetMonitor, condition: Callable[[Any], bool]
) -> None:
    if not monitor.wait(lambda all_: all(all_.values()) and condition(all_), DEADLINE):
        names = list(runtime.children)
        logs = "\n".join(line for _, line in runtime.logs(names, follow=False))
        pytest.fail(f"not reached: {monitor.vehicles}\nrunning: {runtime.running()}\n{logs}")


def finished(vehicles: Mapping[str, VehicleStatus]) -> bool:
    return all(v.task.current_iter == 2 == v.task.total_iter for v in vehicles.values()) and (
        len({v.chain.tip for v in vehicles.values()}) == 1
    )


def settled() -> Callable[[Any], bool]:
    """Finished, and on one tip for a while: two equal branches may change places at first."""
    since: dict[str, float] = {}

    def condition(vehicles: Mapping[str, VehicleStatus]) -> bool:
        if not finished(vehicles):
            since.clear()
            return False
        tip = next(iter(vehicles.values())).chain.tip
        if tip not in since:
            since.clear()
        return time.monotonic() - since.setdefault(tip, time.monotonic()) > 6

    return condition


@pytest.mark.timeout(600)
def test_a_fleet_bears_a_vehicle_without_data_and_one_with_a_damaged_chain(
    surroundings: Any, bags: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing"
    with BagWriter(nothing, 2):
        pass
    fleet = fleet_of((bags / "vehicle_00", bags / "vehicle_01", nothing), update_wait_ms=1000)
    folder = FleetFolder(tmp_path)
    names = [vehicle.name for vehicle in fleet.vehicles]

    def outcomes() -> list[Verification]:
        genesis = load_genesis(folder.genesis)
        return [outcome_of(folder.vehicle(name), genesis) for name in names]

    with watching(fleet) as (monitor, states):
        with running(tmp_path, fleet) as runtime:
            wait_for(runtime, monitor, settled())
            idle = "no data: does not train"
            wait_for(runtime, monitor, lambda _: idle in states["vehicle_02"])
            statuses = monitor.vehicles
            log = vehicle_log(folder.vehicle("vehicle_02")).read_text()
        assert {n: c.returncode for n, c in runtime.children.items()} == dict.fromkeys(names, 0)
    assert "no camera or traffic light messages" in log
    assert statuses["vehicle_02"].dataset.samples == 0
    assert statuses["vehicle_02"].chain.balance == 0
    assert statuses["vehicle_02"].training.training_seconds == 0
    assert statuses["vehicle_00"].chain.balance == statuses["vehicle_01"].chain.balance == 40
    assert "training" not in states["vehicle_02"]
    before = outcomes()
    assert [o.problem for o in before] == [None] * 3
    assert surroundings.left_over() == []

    # While all are stopped, one chain is damaged; its vehicle gets it back from the others.
    chain = folder.vehicle("vehicle_01") / "chain.sqlite"
    with chain.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))
    with watching(fleet) as (monitor, _):
        with running(tmp_path, fleet) as runtime:
            wait_for(runtime, monitor, settled())
            log = vehicle_log(folder.vehicle("vehicle_01")).read_text()
        assert {n: c.returncode for n, c in runtime.children.items()} == dict.fromkeys(names, 0)
    assert "was damaged" in log
    assert "rebuilding the chain from the other vehicles" in log
    assert chain.with_name("chain.sqlite.damaged").exists()
    for outcome in outcomes():
        assert outcome.problem is None
        assert outcome.state.tip_hash == before[0].state.tip_hash
    assert surroundings.left_over() == []


@pytest.fixture
def alone(tmp_path: Path) -> FleetPlan:
    fleet = fleet_of((tmp_path / "no bag",), minimum_updates=1)
    return prepare(tmp_path / "fleet", fleet, [tmp_path / "no bag"], START)


def another_key(plan: FleetPlan) -> None:
    path = plan.vehicles[0].folder / "key.pem"
    path.unlink()
    save_key(path, KeyPair.generate(), None)


def no_key(plan: FleetPlan) -> None:
    (plan.vehicles[0].folder / "key.pem").unlink()


def setting(node: str, name: str, value: Any) -> Callable[[FleetPlan], None]:
    def change(plan: FleetPlan) -> None:
        path = plan.vehicles[0].parameters_file
        document = yaml.safe_load(path.read_text())
        document[f"/vehicle_00/{node}"]["ros__parameters"][name] = value
        path.write_text(yaml.safe_dump(document))

    return change


def attacks_without_training(plan: FleetPlan) -> None:
    setting("vehicle", "malicious", "alie")(plan)
    setting("vehicle", "train", False)(plan)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (another_key, "is not that of the member vehicle_00"),
        (no_key, "can't read the key file"),
        (setting("vehicle", "data_dir", ""), "data_dir is not set"),
        (setting("trainer", "threads", 0), "threads"),
        (
            setting("vehicle", "malicious", "flip"),
            "unknown attack 'flip': choose one of label_flip",
        ),
        (attacks_without_training, "the attack alie is on the training: set train to true"),
        (setting("vehicle", "gateway_host", "192.0.2.1"), "192.0.2.1"),
    ],
    ids=[
        "another key",
        "no key",
        "no folder",
        "no threads",
        "no such attack",
        "nothing to attack",
        "no such address",
    ],
)
def test_a_vehicle_that_cannot_start_exits_with_2_and_says_why(
    surroundings: Any, alone: FleetPlan, fault: Callable[[FleetPlan], None], said: str
) -> None:
    fault(alone)
    done = subprocess.run(
        vehicle_command(alone.vehicles[0]),
        env=os.environ | surroundings.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "bift: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stored_training_that_cannot_be_used_keeps_no_vehicle_from_starting(
    surroundings: Any, alone: FleetPlan
) -> None:
    """And what it has on either bus is what the docs say, nothing to train it or set it with."""
    plan = alone.vehicles[0]
    folders = VehicleFolders(plan.folder)
    folders.create()
    result = encode(["lights", 1, cid_of(b"a model"), "x", 0.5, 10])
    for name, note in (("training", result), ("vote", b"no CBOR")):
        with contextlib.closing(ChainStore(folders.chain, alone.genesis)) as store:
            store.set_note(name, note)
    with (
        surroundings.start(*vehicle_command(plan)) as vehicle,
        contextlib.closing(FleetMonitor()) as monitor,
        contextlib.ExitStack() as closing,
    ):
        strangers = {bus: BackgroundNode(bus, "stranger") for bus in Bus}
        for stranger in strangers.values():
            stranger.start()
            closing.callback(stranger.close)
        assert monitor.wait(lambda all_: bool(all_.get("vehicle_00")), DEADLINE)
        status = monitor.vehicles["vehicle_00"]
        # The last services that a vehicle announces: all others are known by then.
        for bus, kind, name in (
            (Bus.OWN, OwnerJob, "owner_job"),
            (Bus.FLEET, GetBlocks, "get_blocks"),
        ):
            last = strangers[bus].node.create_client(kind, f"/vehicle_00/{name}")
            assert last.wait_for_service(DEADLINE)
        found = {bus: names_on(stranger.node) for bus, stranger in strangers.items()}
        said = vehicle.stop()
    assert status.chain.refused == 2
    assert "note" in status.chain.last_refusal
    for name in ("training", "vote"):
        assert f"the stored note '{name}' can't be used" in said
    documented = documented_names("vehicle_00")
    assert found[Bus.FLEET] == documented[Bus.FLEET] - {"/vehicle_00/get_group_keys"}
    assert found[Bus.OWN] == documented[Bus.OWN] - {"/vehicle_00/camera/image_raw"}


def names_on(node: Any) -> set[str]:
    """Every topic and service that a node of ROS sees."""
    return {
        name for name, _ in (*node.get_topic_names_and_types(), *node.get_service_names_and_types())
    }


def documented_names(vehicle: str) -> dict[Bus, set[str]]:
    """What docs/topics.md says that a vehicle has on each bus."""
    text = (Path(__file__).parents[2] / "docs" / "topics.md").read_text()
    _, fleet, own, _ = re.split(r"^(?:On|And of) the .*:$", text, flags=re.MULTILINE)
    names: dict[Bus, set[str]] = {}
    for bus, table in ((Bus.FLEET, fleet), (Bus.OWN, own)):
        cells = re.findall(r"^\| (`/.*?`) \|", table, re.MULTILINE)
        found = re.findall(r"`(.*?)`", " ".join(cells).replace("NAME", vehicle))
        names[bus] = {name.replace("[/compressed]", "") for name in found}
        names[bus] |= {n.replace("[", "").replace("]", "") for n in found if "[" in n}
    return names


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_person_starts_one_vehicle_sees_it_and_stops_it(
    surroundings: Any, tmp_path: Path, stop: signal.Signals
) -> None:
    key, genesis, data = tmp_path / "key.pem", tmp_path / "genesis.json", tmp_path / "my car: 1"
    made = surroundings.bift("account", "create", key, "--no-passphrase", "--json")
    account = json.loads(made.stdout)
    member = f"my_car={account['public_key']}"
    created = surroundings.bift(
        "genesis", "create", genesis, "--member", member, "--minimum-updates", 1
    )
    assert created.returncode == 0, created.stderr
    options = ("--genesis", genesis, "--key", key, "--data", data, "--no-train")
    with (
        surroundings.start(*surroundings.command("miner", "start", *options)) as vehicle,
        contextlib.closing(FleetMonitor()) as monitor,
    ):
        assert monitor.wait(lambda all_: bool(all_.get("my_car")), DEADLINE)
        shown = surroundings.bift("system", "show", "--wait", 5, "--json")
        assert shown.returncode == 0, shown.stderr
        (status,) = json.loads(shown.stdout)
        assert status["name"] == "my_car"
        assert status["address"] == account["address"]
        assert status["state"] == "idle"
        assert status["height"] == 0
        said = vehicle.stop(stop)
    assert "Traceback" not in said
    verified = surroundings.bift("chain", "verify", "--data", data, "--genesis", genesis)
    assert verified.returncode == 0, verified.stderr
