"""The dashboard's server: what it answers, whom it turns away, and how it keeps pages current."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from bift_ros.dashboard.pages import STATIC
from bift_ros.dashboard.server import Dashboard, DashboardError
from bift_ros.monitoring.view import FleetView

Answer = tuple[int, dict[str, str], bytes]


def ask(url: str, path: str, method: str = "GET", **headers: str) -> Answer:
    address = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@contextmanager
def events(url: str) -> Iterator[Callable[[], Any]]:
    """Connects to the stream; what is yielded waits for the next event."""
    address = url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"

    def next_event() -> Any:
        line = response.readline()
        assert line.startswith(b"data: "), line
        assert response.readline() == b"\n"
        return json.loads(line.removeprefix(b"data: "))

    try:
        yield next_event
    finally:
        connection.close()


def test_the_page_and_all_that_it_loads_are_here(small: Any) -> None:
    status, headers, page = ask(small.url, "/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    assert b"http" not in page.replace(b"http-equiv", b"")
    for path in ("js/main.js", "css/theme.css", "vendor/uPlot.esm.js", "icon.svg"):
        assert ask(small.url, f"/static/{path}")[0] == 200


def test_every_module_is_asked_for_at_once(small: Any) -> None:
    page = ask(small.url, "/")[2].decode()
    preloaded = set(re.findall(r'rel="modulepreload" href="/static/js/(\w+)\.js"', page))
    modules = {file.stem for file in (STATIC / "js").glob("*.js")}
    assert preloaded == modules - {"main"}


@pytest.mark.parametrize("path", ["/", "/static/js/main.js", "/api/state", "/nothing"])
def test_every_answer_forbids_other_sites(small: Any, path: str) -> None:
    _, headers, _ = ask(small.url, path)
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1"])
def test_a_name_that_was_bound_to_this_machine_is_turned_away(small: Any, host: str) -> None:
    port = small.url.rstrip("/").rsplit(":")[-1]
    status, _, body = ask(small.url, "/api/state", Host=host.format(port=port))
    assert status == 421
    assert b"vehicle" not in body
    assert ask(small.url, "/api/state", Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(small: Any, method: str) -> None:
    assert ask(small.url, "/api/state", method)[0] == 405


def test_it_listens_on_loopback_alone(small: Any) -> None:
    (listening,) = small.dashboard._runner.addresses
    assert listening[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DashboardError, match=f"port {port}.*Name another one"):
            Dashboard(lambda _: None, port)


def test_one_that_was_never_started_can_be_told_of_changes_and_closed() -> None:
    dashboard = Dashboard(lambda _: None)
    dashboard.changed()
    dashboard.close()
    Dashboard(lambda _: None, int(dashboard.url.rstrip("/").rsplit(":")[-1])).close()


def test_the_state_is_everything(small: Any) -> None:
    state = json.loads(ask(small.url, "/api/state")[2])
    assert state["whole"] is True
    assert [v["name"] for v in state["vehicles"]] == small.fleet.names
    assert len(state["blocks"]) == len(small.fleet.view.chain.blocks)


def test_a_fleet_of_which_nothing_was_heard_has_an_empty_state() -> None:
    @contextmanager
    def nothing() -> Iterator[FleetView]:
        yield FleetView()

    with closing(Dashboard(lambda _: None)) as dashboard:
        dashboard.start(nothing)
        state = json.loads(ask(dashboard.url, "/api/state")[2])
    assert state["vehicles"] == state["blocks"] == []


def test_the_stream_tells_everything_and_then_what_changes(small: Any) -> None:
    with events(small.url) as next_event:
        first = next_event()
        assert first["whole"] is True
        assert len(first["vehicles"]) == 3
        small.change(lambda: small.fleet.say(1, state="asleep"))
        second = next_event()
        assert second["whole"] is False
        assert [v["status"]["state"] for v in second["vehicles"]] == ["asleep"]
        assert second["blocks"] == []


def test_changes_that_come_together_are_told_together(small: Any) -> None:
    with events(small.url) as next_event:
        next_event()
        for height in range(1, 501):
            small.change(lambda height=height: small.fleet.say(0, height=height))
        heights = []
        while not heights or heights[-1] != 500:
            heights.append(next_event()["vehicles"][0]["status"]["height"])
        assert heights == sorted(heights)
        assert len(heights) < 100


def test_it_ends_while_pages_are_open(small: Any) -> None:
    with events(small.url) as next_event:
        next_event()
        small.dashboard.close()


def test_samples_are_told_of_only_where_they_lie(small: Any) -> None:
    status, _, body = ask(small.url, "/api/vehicles/vehicle_00/samples")
    assert status == 200
    answer = json.loads(body)
    assert "--data" in answer["why_none"]
    assert len(answer["classes"]) == 10
    path = "/api/vehicles/vehicle_00/samples/train/red_circle/1-a-0.png"
    assert ask(small.url, path)[0] == 404


def test_the_palette_is_one_style_sheet_that_no_other_repeats(small: Any) -> None:
    status, headers, sheet = ask(small.url, "/colours.css")
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/css")
    assert "--accent: light-dark(#2457d6, #7ea6ff);" in sheet.decode()
    defined = set(re.findall(r"--(\w+):", sheet.decode()))
    for file in (STATIC / "css").glob("*.css"):
        own = file.read_text()
        assert set(re.findall(r"var\(--(\w+)\)", own)) <= defined | {"mono"}, file
        assert not re.search(r"#[0-9a-f]{3,8}\b|rgb\(", own), file
