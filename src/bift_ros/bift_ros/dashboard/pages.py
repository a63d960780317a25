"""What the dashboard answers, request by request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from aiohttp import web

from bift_ros.dashboard.samples import FindDataset, crop_file, samples_of
from bift_ros.dashboard.stream import Stream
from bift_ros.monitoring.colours import PAGE

STATIC = Path(__file__).parent / "static"
NO_SAMPLES = (
    "A vehicle's samples never leave it. They are shown where its data folder is on this machine: "
    "start the dashboard with --data and the folder of the fleet or demo."
)


class Pages:
    """The handlers. They only read."""

    def __init__(self, stream: Stream, find_dataset: FindDataset) -> None:
        self._stream, self._find_dataset = stream, find_dataset

    def routes(self) -> list[web.AbstractRouteDef]:
        """Every address there is."""
        samples = "/api/vehicles/{name}/samples"
        return [
            web.get("/", self.page),
            web.get("/colours.css", self.colours),
            web.static("/static", STATIC),
            web.get("/api/state", self.state),
            web.get("/api/events", self.events),
            web.get(samples, self.samples),
            web.get(samples + "/{split}/{label}/{file}", self.crop),
        ]

    async def page(self, _: web.Request) -> web.Response:
        """The page itself; it has browsers ask for every module at once."""
        modules = {file.name for file in (STATIC / "js").iterdir()} - {"main.js"}
        links = (f'<link rel="modulepreload" href="/static/js/{name}">' for name in sorted(modules))
        text = (STATIC / "index.html").read_text(encoding="utf-8")
        text = text.replace("<!-- modules -->", "\n".join(links))
        return web.Response(text=text, content_type="text/html")

    async def colours(self, _: web.Request) -> web.Response:
        """The palette as CSS custom properties, each in its light and its dark form."""
        shades = (f"--{name}: light-dark({light}, {dark});" for name, (light, dark) in PAGE.items())
        return web.Response(text=f":root {{ {' '.join(shades)} }}\n", content_type="text/css")

    async def state(self, _: web.Request) -> web.Response:
        """All that is known, once."""
        return web.json_response(await asyncio.to_thread(self._stream.state))

    async def events(self, request: web.Request) -> web.StreamResponse:
        """All that is known, then what changes, as server-sent events."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the page was closed
            async for event in self._stream.events():
                await response.write(event)
        return response

    async def samples(self, request: web.Request) -> web.Response:
        """A vehicle's crops by class, or why there are none to see."""
        dataset = self._find_dataset(request.match_info["name"])
        why_none = NO_SAMPLES if dataset is None else None
        try:
            classes = await asyncio.to_thread(samples_of, dataset)
        except OSError as error:
            classes = samples_of(None)
            why_none = f"{dataset} cannot be read: {error.strerror}"
        return web.json_response({"classes": [asdict(c) for c in classes], "why_none": why_none})

    async def crop(self, request: web.Request) -> web.FileResponse:
        """One crop."""
        words = request.match_info
        dataset = self._find_dataset(words["name"])
        path = dataset and crop_file(dataset, words["split"], words["label"], words["file"])
        if not path:
            raise web.HTTPNotFound
        return web.FileResponse(path)
