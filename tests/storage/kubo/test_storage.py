"""The Kubo backend against real Kubo daemons on loopback."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from bift_ros.storage.cid import cid_of
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid, CidError
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.interface import NotFound, Storage, StorageError
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.storage import KuboStorage
from bift_ros.storage.networks import Networks
from bift_ros.storage.unixfs import CHUNK_SIZE

pytestmark = pytest.mark.kubo

Daemon = Callable[..., KuboDaemon]
Kubo = Callable[..., KuboStorage]

DATA = random.Random(7).randbytes(600_000)
SIZES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 10_000_000, 100_000_000]


def command(daemon: KuboDaemon, *arguments: str) -> str:
    """Run the real `ipfs` against a daemon."""
    environment = {**os.environ, "IPFS_PATH": str(daemon.repository)}
    output = subprocess.check_output(["ipfs", *arguments], env=environment, text=True)
    return output.strip()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_has_one_cid_however_it_is_stored(
    daemon: Daemon, kubo: Kubo, tmp_path: Path, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    one = daemon()
    added = command(one, "add", "-Q", "--only-hash", "--cid-version=1", "--raw-leaves", str(path))
    store = kubo(one)
    assert store.put_file(path) == added == cid_of(data)
    assert store.put(data) == added
    assert store.get(added) == data


def test_the_store_is_a_storage(kubo: Kubo, tmp_path: Path) -> None:
    store: Storage = kubo()
    cid = store.put(DATA)
    store.pin(cid)
    store.unpin(cid)
    store.unpin(cid)
    assert store.has(cid)
    assert store.get(cid) == DATA
    store.get_file(cid, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA


def test_daemons_exchange_a_file_in_their_swarm(kubo: Kubo, tmp_path: Path) -> None:
    a, b = kubo(), kubo()
    assert len(a.peers()) == len(b.peers()) == 1
    cid = a.put(DATA)
    b.get_file(cid, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    assert b.has(cid)


def test_has_and_pin_ask_no_other_daemon(kubo: Kubo) -> None:
    a, b = kubo(), kubo()
    cid = a.put(DATA)
    assert not b.has(cid)
    with pytest.raises(NotFound, match=cid):
        b.pin(cid)
    b.unpin(cid)
    assert not b.has(cid)


def test_half_a_file_is_no_file(kubo: Kubo) -> None:
    a, b = kubo(), kubo(connect=False)
    cid = a.put(DATA)
    api = b._api
    api.put_block(Cid.parse(cid), a._api.block(Cid.parse(cid)))
    assert not b.has(cid)
    with pytest.raises(NotFound):
        b.pin(cid)
    with pytest.raises(NotFound, match="no provider is known"):
        b.get(cid)


def test_what_nobody_has_is_not_found_in_time(kubo: Kubo) -> None:
    a, b = kubo(), kubo()
    absent = str(Cid.of(RAW, b"absent"))
    with pytest.raises(NotFound, match=rf"{a.url}: answered HTTP 404.*in its swarm"):
        b.get(absent, [a.url], timeout=1.0)


def test_strangers_stay_out_of_the_swarm(daemon: Daemon, kubo: Kubo) -> None:
    inside = daemon()
    stranger = kubo(swarm_key=None, connect=False)
    with pytest.raises(StorageError, match="connecting to"):
        stranger._api.connect(inside.status().swarm_address)
    assert stranger.peers() == []


@pytest.mark.parametrize("method", ["get", "has", "pin", "unpin"])
def test_a_malformed_cid_is_refused_everywhere(kubo: Kubo, method: str) -> None:
    with pytest.raises(CidError):
        getattr(kubo(), method)("../../etc/passwd")


def test_files_of_another_layout_are_refused_as_the_embedded_store_refuses_them(
    daemon: Daemon, kubo: Kubo, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    one = daemon()
    other = command(one, "add", "-Q", "--cid-version=1", "--raw-leaves=false", str(path))
    with pytest.raises(InvalidFile):
        kubo(one).get(other)
    with pytest.raises(InvalidFile):
        kubo(one).get_file(other, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_file_too_big_for_memory_is_refused(daemon: Daemon) -> None:
    one = daemon()
    store = KuboStorage(one.api, one.url("127.0.0.1"), max_file_size=1000)
    with pytest.raises(StorageError, match="1001 bytes are more than 1000"):
        store.put(bytes(1001))
    cid = one.api.add(BytesIO(bytes(1001)), CHUNK_SIZE)
    with pytest.raises(InvalidFile, match="1001 bytes"):
        store.get(cid)
    store.close()


def test_over_http_it_fetches_from_no_special_address_that_is_not_allowed(
    daemon: Daemon, vehicle: Callable[..., EmbeddedStorage]
) -> None:
    one, other = daemon(), vehicle()
    cid = other.put(DATA)
    url = gateway_url("192.168.0.7", 40123)
    with (
        closing(KuboStorage(one.api, url)) as store,
        pytest.raises(NotFound, match="special address"),
    ):
        store.get(cid, [other.url])
    allowed = Networks.parse("127.0.0.0/8")
    with closing(KuboStorage(one.api, url, networks=allowed)) as store:
        assert store.get(cid, [other.url]) == DATA


def test_what_is_pinned_outlasts_a_collection_and_the_rest_does_not(
    daemon: Daemon, kubo: Kubo
) -> None:
    one = daemon()
    store = kubo(one)
    kept, unpinned, loose = (store.put(DATA + bytes([n])) for n in range(3))
    store.pin(kept)
    store.pin(unpinned)
    store.unpin(unpinned)
    command(one, "repo", "gc")
    assert store.get(kept) == DATA + b"\0"
    assert not store.has(unpinned)
    assert not store.has(loose)


def test_damage_on_disk_is_noticed_and_mended_from_a_provider(daemon: Daemon, kubo: Kubo) -> None:
    a = kubo()
    one = daemon(connect=False)
    b = kubo(one)
    cid = a.put(b"whole")
    b.put(b"whole")
    (file,) = [p for p in one.repository.glob("blocks/*/*.data") if p.read_bytes() == b"whole"]
    file.write_bytes(b"wrong")
    b.pin(cid)
    with pytest.raises(StorageError, match=r"cannot be removed.*pinned"):
        b.get(cid, [a.url])
    b.unpin(cid)
    assert b.get(cid, [a.url]) == b"whole"


def test_many_threads_at_once(kubo: Kubo) -> None:
    a, b = kubo(), kubo()
    files = [random.Random(n).randbytes(50_000 * n) for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        cids = list(pool.map(a.put, files))
        assert list(pool.map(lambda cid: b.get(cid, [a.url]), cids)) == files


def test_a_daemon_that_is_killed_gives_a_clear_error_and_serves_again_when_restarted(
    daemon: Daemon, kubo: Kubo
) -> None:
    one = daemon()
    store = kubo(one)
    cid = store.put(DATA)
    os.kill(one.pid or 0, 9)
    one._child.wait()
    address = one.api.address
    for call in (
        lambda: store.put(b"x"),
        lambda: store.get(cid),
        lambda: store.has(cid),
        lambda: store.pin(cid),
        store.peers,
    ):
        with pytest.raises(StorageError, match=rf"{address}.*bift storage kubo start"):
            call()
    one.start(attached=True)
    assert store.get(cid) == DATA


def test_a_call_is_quiet_and_goes_to_no_proxy(kubo: Kubo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = kubo()
        assert store.get(store.put(DATA)) == DATA


def test_importing_the_client_is_quiet() -> None:
    code = "import bift_ros.storage.kubo.storage"
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-W", "always::FutureWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_a_block_of_either_codec_keeps_its_cid(kubo: Kubo) -> None:
    api: KuboApi = kubo()._api
    for codec in (RAW, DAG_PB):
        cid = Cid.of(codec, b"any")
        api.put_block(cid, b"any")
        assert api.block(cid) == b"any"
