from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import settings

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.kubo.config import KuboSettings, new_swarm_key, swarm_address
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.storage import KuboStorage
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

    def make(**options: Any) -> EmbeddedStorage:
        made.append(EmbeddedStorage(tmp_path / f"vehicle{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def daemon(tmp_path: Path, ipfs: str) -> Iterator[Callable[..., KuboDaemon]]:
    """Starts Kubo daemons of one private swarm, each connected to those before it."""
    made: list[KuboDaemon] = []
    key = new_swarm_key()

    def make(start: bool = True, connect: bool = True, **settings: Any) -> KuboDaemon:
        peers = [swarm_address(one.repository, "127.0.0.1") for one in made if connect]
        made.append(KuboDaemon(tmp_path / f"kubo{len(made)}"))
        made[-1].init(KuboSettings(**{"swarm_key": key, "peers": tuple(peers), **settings}))
        if start:
            made[-1].start(attached=True)
            assert made[-1].connect_peers() == {}
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def kubo(daemon: Callable[..., KuboDaemon]) -> Iterator[Callable[..., KuboStorage]]:
    """Makes stores in Kubo daemons of their own, and closes them."""
    made: list[KuboStorage] = []

    def make(of: KuboDaemon | None = None, **settings: Any) -> KuboStorage:
        one = of or daemon(**settings)
        made.append(KuboStorage(one.api, one.url("127.0.0.1")))
        return made[-1]

    yield make
    for store in made:
        store.close()


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
