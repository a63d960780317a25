"""What a daemon's API may answer, and what a person then reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.interface import StorageError
from bift_ros.storage.kubo.api import KuboApi, Unreachable, untested
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.storage import KuboStorage

pytestmark = pytest.mark.kubo

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Provider = Callable[[Handler], str]


def test_an_address_that_is_none_is_refused() -> None:
    for address in ("localhost:5001", "http://127.0.0.1:5001", "/ip4/127.0.0.1"):
        with pytest.raises(StorageError, match=r"write it like /ip4/127.0.0.1/tcp/5001"):
            KuboApi(address)


def test_nobody_there() -> None:
    with pytest.raises(Unreachable, match=r"/tcp/9 .*storage kubo start.*refused"):
        KuboStorage(KuboApi("/ip4/127.0.0.1/tcp/9"), "http://127.0.0.1:1")


def test_somebody_else_there(provider: Provider) -> None:
    async def other(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if "version" in request.path else 404, text="hello")

    api = KuboApi(multiaddress(provider(other)))
    with pytest.raises(StorageError, match="is that address a Kubo API"):
        api.version()
    with pytest.raises(StorageError, match=r"404.*is that address a Kubo API"):
        api.peers()


def test_a_daemon_that_hangs(provider: Provider) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    api = KuboApi(multiaddress(provider(hang)), timeout=0.2)
    with pytest.raises(StorageError, match=r"gave nothing for 0\.2 s"):
        api.version()


def test_a_full_disk(provider: Provider) -> None:
    async def full(_: web.Request) -> web.StreamResponse:
        message = "write /blocks/x: no space left on device"
        return web.json_response({"Message": message, "Code": 0, "Type": "error"}, status=500)

    api = KuboApi(multiaddress(provider(full)))
    with pytest.raises(StorageError, match="no space left on device: free some space"):
        api.put_block(Cid.of(RAW, b"x"), b"x")


def test_a_version_that_was_not_tested_is_named(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    async def old(_: web.Request) -> web.StreamResponse:
        return web.json_response({"Version": "0.7.0"})

    assert KuboApi(multiaddress(provider(old))).version() == "0.7.0"
    assert "Bift was tested with Kubo" in caplog.text
    assert "this is 0.7.0" in caplog.text


def test_the_range_of_tested_versions(daemon: Callable[..., KuboDaemon]) -> None:
    assert untested(daemon().api.version()) is None
    assert untested("0.43.7-dev") is None
    assert untested("0.40.9") is not None
    assert untested("0.999.0") is not None
    assert untested("1.43.0") is not None
    assert untested("nonsense") is not None


def multiaddress(url: str) -> str:
    return f"/ip4/127.0.0.1/tcp/{url.rpartition(':')[2]}"
