"""What keeps other pages in the same browser, and other machines, away from the dashboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LOOPBACK_NAMES = ("127.0.0.1", "localhost")


def guard(port: int) -> Middleware:
    """Answers only requests that name this server as this machine does.

    Another site may have its own name point at 127.0.0.1 (DNS rebinding) and would then read
    everything as its own; its name gives it away.
    """
    hosts = {f"{name}:{port}" for name in LOOPBACK_NAMES}

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.headers.get("Host") not in hosts:
            raise web.HTTPMisdirectedRequest(text=f"open http://127.0.0.1:{port}/ instead\n")
        return await handler(request)

    return guarded


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Give a response the headers that every one has: before it is prepared, errors too."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
