"""Kubo daemons as processes: what they are told, how they start and stop, how that fails."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.interface import StorageError
from bift_ros.storage.kubo.config import (
    KuboSettings,
    new_swarm_key,
    read_swarm_key,
    write_settings,
)
from bift_ros.storage.kubo.daemon import KuboDaemon, find_ipfs
from bift_ros.storage.kubo.storage import KuboStorage

pytestmark = pytest.mark.kubo

Daemon = Callable[..., KuboDaemon]


def config_of(daemon: KuboDaemon) -> Any:
    return json.loads((daemon.repository / "config").read_text())


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def test_init_keeps_identity_ports_and_swarm_and_takes_new_settings(daemon: Daemon) -> None:
    one = daemon(start=False)
    before = config_of(one)
    key = (one.repository / "swarm.key").read_text()
    one.init(KuboSettings(max_bytes=123_000_000))
    after = config_of(one)
    assert after["Identity"] == before["Identity"]
    assert after["Addresses"] == before["Addresses"]
    assert after["Datastore"]["StorageMax"] == "123000000B"
    assert (one.repository / "swarm.key").read_text() == key
    for name in ("config", "swarm.key"):
        assert stat.S_IMODE((one.repository / name).stat().st_mode) == 0o600


def test_stated_ports_are_used(daemon: Daemon) -> None:
    one = daemon(start=False, api_port=5101, gateway_port=8101, swarm_port=4101)
    addresses = config_of(one)["Addresses"]
    assert addresses["API"] == "/ip4/127.0.0.1/tcp/5101"
    assert addresses["Gateway"] == "/ip4/127.0.0.1/tcp/8101"
    assert addresses["Swarm"] == ["/ip4/127.0.0.1/tcp/4101"]
    assert one.url("192.168.0.7") == "http://192.168.0.7:8101"


def test_nothing_of_the_public_network_is_left_in_the_settings(daemon: Daemon) -> None:
    config = config_of(daemon(start=False))
    assert config["Bootstrap"] == []
    assert config["Routing"]["Type"] == "none"
    assert config["Plugins"]["Plugins"]["telemetry"]["Config"]["Mode"] == "off"
    for section in ("AutoConf", "AutoTLS", "Provide", "HTTPRetrieval"):
        assert config[section]["Enabled"] is False
    assert "auto" not in set(texts(config))


def test_a_running_daemon_listens_on_loopback_alone_and_talks_to_nobody(daemon: Daemon) -> None:
    one = daemon()
    sockets = psutil.Process(one.pid).net_connections("inet")
    assert {s.laddr.ip for s in sockets} == {"127.0.0.1"}
    assert {s.raddr.ip for s in sockets if s.raddr} <= {"127.0.0.1"}


def test_status_of_a_daemon_that_runs_and_of_one_that_does_not(daemon: Daemon) -> None:
    a, b = daemon(), daemon()
    status = a.status()
    assert status.running
    assert status.pid == a.pid
    assert status.version is not None
    assert [p.rpartition("/")[2] for p in status.peers] == [b.status().peer_id]
    assert status.repository_bytes is not None
    assert a.stop()
    assert not a.stop()
    assert not a.status().running
    assert a.pid is None


def test_a_daemon_on_every_interface_says_where_it_is_reached(daemon: Daemon) -> None:
    one = daemon(host="0.0.0.0")
    address = one.status().swarm_address
    assert "/0.0.0.0/" not in address
    two = daemon(connect=False)
    two.api.connect(address)
    assert two.status().peers


def test_starting_twice_is_harmless_and_changing_a_running_one_is_refused(daemon: Daemon) -> None:
    one = daemon()
    pid = one.pid
    again = KuboDaemon(one.repository)
    again.start()
    assert again.pid == pid
    with pytest.raises(StorageError, match="storage kubo stop"):
        again.init(KuboSettings())


def test_a_daemon_outlives_whoever_started_it_and_is_stopped_by_another(daemon: Daemon) -> None:
    one = daemon(start=False)
    code = (
        "import sys, pathlib; from bift_ros.storage.kubo.daemon import KuboDaemon; "
        "KuboDaemon(pathlib.Path(sys.argv[1])).start()"
    )
    subprocess.run([sys.executable, "-c", code, str(one.repository)], check=True)
    pid = one.pid
    assert pid is not None
    assert one.api.version()
    assert one.stop()
    assert not psutil.pid_exists(pid)


def test_an_attached_daemon_ends_with_whoever_started_it(daemon: Daemon) -> None:
    one = daemon(start=False)
    code = (
        "import sys, os, pathlib; from bift_ros.storage.kubo.daemon import KuboDaemon; "
        "KuboDaemon(pathlib.Path(sys.argv[1])).start(attached=True); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(one.repository)], check=False)
    process = one._process()
    if process is not None:
        process.wait(20)
    assert one.pid is None


def test_a_process_that_only_has_the_daemons_old_number_is_left_alone(daemon: Daemon) -> None:
    one = daemon(start=False)
    note = {"pid": os.getpid(), "created": psutil.Process().create_time() - 100}
    (one.repository / "bift-daemon.json").write_text(json.dumps(note))
    assert one.pid is None
    assert not one.stop()


def test_a_killed_daemon_starts_again_with_what_it_had(daemon: Daemon) -> None:
    one = daemon()
    store = KuboStorage(one.api, one.url("127.0.0.1"))
    cid = store.put(b"kept")
    store.pin(cid)
    os.kill(one.pid or 0, signal.SIGKILL)
    assert one._child is not None
    one._child.wait()
    one.start(attached=True)
    assert store.get(cid) == b"kept"
    store.close()


def test_a_start_that_fails_shows_the_end_of_the_log(daemon: Daemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one = daemon(start=False, api_port=taken.getsockname()[1])
        with pytest.raises(StorageError, match=r"(?s)ended as it started.*address already in use"):
            one.start(attached=True)
    assert one.pid is None


def test_without_the_program_the_error_says_what_to_do(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = daemon(start=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="make kubo"):
        one.start()


def test_the_gateway_serves_what_is_here_and_fetches_for_nobody(daemon: Daemon) -> None:
    a, b = daemon(), daemon()
    store = KuboStorage(a.api, a.url("127.0.0.1"))
    cid = store.put(b"here")
    store.close()

    def status_of(query: str, where: KuboDaemon = a, cid: str = cid) -> int:
        url = f"{where.url('127.0.0.1')}/ipfs/{cid}{query}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status_of("?format=raw") == 200
    assert status_of("?format=car") == 200
    assert status_of("") == 200
    assert status_of("?format=raw", cid=str(Cid.of(RAW, b"absent"))) == 404
    assert status_of("?format=raw", where=b) == 404  # though its peer has it


@pytest.mark.parametrize("text", ["", "/key/swarm/psk/1.0.0/\n/base16/\nxyz\n", "x" * 100])
def test_a_broken_swarm_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "swarm.key"
    path.write_text(text)
    with pytest.raises(StorageError, match="is no swarm key"):
        read_swarm_key(path)


def test_swarm_keys_are_read_back_and_differ(tmp_path: Path) -> None:
    path = tmp_path / "swarm.key"
    path.write_text(new_swarm_key())
    assert read_swarm_key(path) != new_swarm_key()
    with pytest.raises(StorageError, match="cannot be read"):
        read_swarm_key(tmp_path / "absent")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "vehicle.local"}, "listens on an IP address"),
        ({"peers": ("192.168.0.7:4001",)}, "is no peer's address"),
    ],
)
def test_unusable_settings_are_refused(
    daemon: Daemon, settings: dict[str, Any], reason: str
) -> None:
    one = daemon(start=False)
    with pytest.raises(StorageError, match=reason):
        one.init(KuboSettings(**settings))


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    for call in (KuboDaemon(tmp_path).start, KuboDaemon(tmp_path).status):
        with pytest.raises(StorageError, match=f"{tmp_path} is no Kubo repository.*kubo init"):
            call()
    (tmp_path / "config").write_text("{")
    with pytest.raises(StorageError, match="no usable config"):
        write_settings(tmp_path, KuboSettings())


def test_a_gateway_on_every_interface_needs_a_name() -> None:
    assert gateway_url("::1", 80) == "http://[::1]:80"
    for host in ("0.0.0.0", "::"):
        with pytest.raises(StorageError, match="gateway_advertised_host"):
            gateway_url(host, 80)


def test_find_ipfs_finds_the_one_on_the_path(ipfs: str) -> None:
    assert find_ipfs() == ipfs
