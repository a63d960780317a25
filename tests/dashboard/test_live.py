"""From a vehicle's message over real DDS to the page that a person sees."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import ChainStatus, Tip, VehicleStatus

from bift_ros.fleet.runs.live_dashboard import dataset_in, live_dashboard
from bift_ros.fleet.runtimes.domain import ros_environment
from bift_ros.nodes import qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from world.messages import unsigned_tip

pytestmark = pytest.mark.ros

ADDRESS = "ab" * 20


# When the car is asleep on the page. A function, as a promise by itself would be awaited.
WATCH = """() => {
    window.asleep = new Promise((resolve) => new MutationObserver(() => {
        const cell = document.querySelector("#fleet td[data-state]");
        if (cell.textContent === "asleep") resolve(Date.now());
    }).observe(document, {subtree: true, childList: true, characterData: true}));
}"""


class Car:
    """A vehicle that does nothing but talk."""

    def __init__(self) -> None:
        self._own, self._fleet = BusNode(Bus.OWN, "vehicle"), BusNode(Bus.FLEET, "vehicle")
        self._tips = self._fleet.node.create_publisher(Tip, "/bift/tips", qos.TIPS)
        self._status = self._own.node.create_publisher(VehicleStatus, "/car/status", qos.STATUS)
        self._tips.publish(unsigned_tip("car", ADDRESS))

    def say(self, state: str) -> None:
        chain = ChainStatus(tip="0" * 64)
        self._status.publish(VehicleStatus(name="car", address=ADDRESS, state=state, chain=chain))

    def close(self) -> None:
        self._own.close()
        self._fleet.close()


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ros_environment() as (environment, _):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def car(domain: None) -> Iterator[Car]:
    car = Car()
    yield car
    car.close()


@contextmanager
def events(url: str) -> Iterator[Iterator[Any]]:
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=60)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    yield (
        json.loads(line.removeprefix(b"data: "))
        for line in iter(response.readline, b"")
        if line.startswith(b"data: ")
    )
    connection.close()


def state_in(event: Any) -> str | None:
    """What the car says that it does, where an event tells of it."""
    for vehicle in event["vehicles"]:
        if vehicle["name"] == "car" and vehicle["status"]:
            return str(vehicle["status"]["state"])
    return None


def test_what_a_vehicle_says_reaches_the_stream(car: Car) -> None:
    with live_dashboard(None) as url, events(url) as told:
        for number, event in enumerate(told):
            # Again and again, since what is said before the listener has found the car is lost.
            car.say("parked")
            if state_in(event) == "parked":
                break
            assert number < 600
        car.say("asleep")
        assert any(state_in(event) == "asleep" for event in told)


def test_the_folder_of_a_fleet_says_where_it_talks(
    car: Car, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID")
    environment = {name: os.environ[name] for name in names}
    for name in names:
        monkeypatch.delenv(name)
    processes = {"environment": environment, "vehicles": {}}
    (tmp_path / "processes.json").write_text(json.dumps(processes))
    with live_dashboard(tmp_path) as url, events(url) as told:
        assert any(v["name"] == "car" for event in told for v in event["vehicles"])
    assert not set(names) & set(os.environ)


@pytest.mark.browser
def test_what_a_vehicle_says_reaches_the_page(
    car: Car, look: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    with live_dashboard(None) as url:
        page = look(url, "document.body.dataset.drawn !== undefined").page
        cell = page.locator("#fleet td[data-state]")
        deadline = time.monotonic() + 60
        while cell.count() == 0 or cell.inner_text() != "parked":
            assert time.monotonic() < deadline
            car.say("parked")
            page.wait_for_timeout(100)
        page.evaluate(WATCH)
        said_at = time.time() * 1000
        car.say("asleep")
        delay = page.evaluate("window.asleep") - said_at
        record_property("message_to_page_ms", round(delay))
        print(f"on the page {delay:.0f} ms after the message")


def test_datasets_are_found_where_fleets_and_demos_keep_them(tmp_path: Path) -> None:
    for place in ("car", "vehicles/van"):
        (tmp_path / place / "dataset").mkdir(parents=True)
    assert dataset_in(tmp_path, "car") == tmp_path / "car" / "dataset"
    assert dataset_in(tmp_path, "van") == tmp_path / "vehicles" / "van" / "dataset"
    assert dataset_in(tmp_path / "vehicles", "van") == tmp_path / "vehicles" / "van" / "dataset"
    for name in ("tram", "../car", "vehicles/van", "..", ""):
        assert dataset_in(tmp_path, name) is None
    assert dataset_in(None, "car") is None


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bift_ros.console", "dashboard", *map(str, arguments)]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(
    domain: None, tmp_path: Path, ending: signal.Signals
) -> None:
    with subprocess.Popen(
        command("--data", tmp_path, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests are a shell's background job, SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        try:
            assert running.stdout is not None
            url = json.loads(running.stdout.readline())["url"]
            with events(url):
                running.send_signal(ending)
                _, said = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--data", "nowhere"], "there is no folder nowhere"),
        (["--port", "66000"], "'66000' is no port"),
    ],
)
def test_what_is_wrong_is_told(arguments: list[str], complaint: str) -> None:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_port_that_is_taken_is_told(domain: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(command("--port", port), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"bift: cannot serve the dashboard on port {port}" in done.stderr
    assert "Traceback" not in done.stderr
