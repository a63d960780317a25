"""Which store a vehicle's settings open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.nodes import parameters
from bift_ros.nodes.vehicle.vehicle_storage import open_storage
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.kubo.config import KuboSettings, new_swarm_key
from bift_ros.storage.kubo.daemon import KuboDaemon


def settings(**changed: Any) -> dict[str, Any]:
    return {s.name: s.default for s in parameters.VEHICLE} | changed


@pytest.fixture
def folders(tmp_path: Path) -> VehicleFolders:
    folders = VehicleFolders(tmp_path / "car")
    folders.create()
    return folders


def test_the_embedded_one_by_default(folders: VehicleFolders) -> None:
    with closing(open_storage(settings(), folders)) as store:
        assert isinstance(store, EmbeddedStorage)
        assert store.get(store.put(b"model")) == b"model"


def test_it_fetches_from_its_own_host_only_where_the_settings_allow_it(
    folders: VehicleFolders, tmp_path: Path
) -> None:
    elsewhere = {"gateway_advertised_host": "192.168.0.7"}
    with EmbeddedStorage(tmp_path / "other") as other:
        cid, url = other.put(b"model"), other.url
        with (
            closing(open_storage(settings(**elsewhere), folders)) as store,
            pytest.raises(NotFound, match="allowed_networks"),
        ):
            store.get(cid, [url])
        allowed = settings(**elsewhere, allowed_networks="127.0.0.0/8 ::1/128")
        with closing(open_storage(allowed, folders)) as store:
            assert store.get(cid, [url]) == b"model"
    with pytest.raises(StorageError, match="allowed_networks"):
        open_storage(settings(allowed_networks="localhost"), folders)


@pytest.mark.kubo
def test_a_kubo_daemon_of_its_own(folders: VehicleFolders, tmp_path: Path, ipfs: str) -> None:
    key = tmp_path / "swarm.key"
    key.write_text(new_swarm_key())
    wanted = settings(storage="kubo", kubo_swarm_key=str(key), storage_mb=64)
    with closing(open_storage(wanted, folders)) as store:
        status = KuboDaemon(folders.kubo).status()
        assert status.running
        assert status.storage_max_bytes == 64 << 20
        assert store.url == f"http://127.0.0.1:{status.gateway_port}"
        assert store.get(store.put(b"model")) == b"model"
        assert (folders.kubo / "swarm.key").read_text() == key.read_text()
    assert not KuboDaemon(folders.kubo).status().running


@pytest.mark.kubo
def test_a_kubo_daemon_that_somebody_else_runs(
    folders: VehicleFolders, tmp_path: Path, ipfs: str
) -> None:
    daemon = KuboDaemon(tmp_path / "other")
    daemon.init(KuboSettings())
    daemon.start(attached=True)
    try:
        status = daemon.status()
        wanted = settings(storage="kubo", kubo_api=status.api)
        with closing(open_storage(wanted, folders)) as store:
            assert store.url == f"http://127.0.0.1:{status.gateway_port}"
            assert store.get(store.put(b"model")) == b"model"
        assert daemon.status().running
        assert not folders.kubo.exists()
    finally:
        daemon.stop()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"storage": "ftp"}, "parameter storage is 'ftp'"),
        ({"storage": "kubo", "kubo_api": "localhost:5001"}, "write it like /ip4/"),
        ({"storage": "kubo", "kubo_api": "/ip4/127.0.0.1/tcp/9"}, "kubo_api"),
        ({"storage": "kubo", "kubo_swarm_key": "/absent.key"}, "/absent.key cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(
    folders: VehicleFolders, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(StorageError, match=said):
        open_storage(settings(**changed), folders)
