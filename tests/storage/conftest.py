from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import settings

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.loop import LoopThread

sys.path.insert(0, str(Path(__file__).parent))  # for this room's `files`

settings.register_profile("no-deadline", deadline=None)  # speed is never asserted
settings.load_profile("no-deadline")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlockStore]:
    blocks = BlockStore(tmp_path / "store")
    yield blocks
    blocks.close()


@pytest.fixture
def vehicle(tmp_path: Path) -> Iterator[Callable[..., EmbeddedStorage]]:
    """Makes embedded stores, each in a folder of its own, and closes them."""
    made: list[EmbeddedStorage] = []

    def make(**options: int) -> EmbeddedStorage:
        made.append(EmbeddedStorage(tmp_path / f"vehicle{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def provider() -> Iterator[Callable[[Handler], str]]:
    """Starts HTTP servers on loopback that answer every request as the test says."""
    loop = LoopThread("test-providers")
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def stop() -> None:
        await asyncio.gather(*(runner.cleanup() for runner in runners))

    yield lambda handler: loop.run(start(handler))
    loop.run(stop())
    loop.close()
