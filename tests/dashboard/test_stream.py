"""Each reader of the stream pulls at its own pace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from synthetic_fleet import NOW, SyntheticFleet

from bift_ros.dashboard.sampling import Sampler
from bift_ros.dashboard.stream import Stream
from bift_ros.monitoring.view import FleetView


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: Playwright's loop runs in this one for as long as a browser is up."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


def read(event: bytes) -> Any:
    return json.loads(event.removeprefix(b"data: "))


def test_a_slow_reader_gets_at_once_all_that_it_missed_and_the_last_of_each() -> None:
    fleet = SyntheticFleet(vehicles=3, blocks=7)

    async def go() -> None:
        stream = Stream(fleet.reading, Sampler(), lambda: NOW)
        slow, quick = stream.events(), stream.events()
        assert read(await anext(slow))["whole"]
        assert read(await anext(quick))["whole"]
        for height in range(1, 6):
            fleet.say(0, height=height)
            fleet.say(1, height=height)
            stream.changed()
            told = read(await anext(quick))
            assert [v["status"]["height"] for v in told["vehicles"]] == [height] * 2
        told = read(await anext(slow))
        assert [v["status"]["height"] for v in told["vehicles"]] == [5, 5]

    run(go())


def test_a_reader_that_comes_before_the_fleet_waits_for_it() -> None:
    fleet = SyntheticFleet(vehicles=3, blocks=7)
    view, fleet.view = fleet.view, FleetView()

    async def go() -> None:
        stream = Stream(fleet.reading, Sampler(), lambda: NOW)
        first = asyncio.ensure_future(anext(stream.events()))
        fleet.view = view
        stream.changed()
        assert len(read(await first)["vehicles"]) == 3

    run(go())


def test_traffic_is_told_of_as_it_is_sampled() -> None:
    fleet = SyntheticFleet(vehicles=3, blocks=7)
    clock = iter(range(100))

    async def go() -> None:
        stream = Stream(fleet.reading, Sampler(), lambda: float(next(clock)))
        sampling = asyncio.create_task(stream.sample())
        reader = stream.events()
        told = []
        while not told:
            told = read(await anext(reader))["traffic"]
        assert set(told[0]) == {"at", "fetched", "served", "messages"}
        sampling.cancel()

    run(go())
