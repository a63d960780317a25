"""What a request to the gateway asks for, and the headers of the answer (RFC 9110 and IPIP-523)."""

from __future__ import annotations

from aiohttp import web

from bift_ros.storage.block_request import RAW_TYPE
from bift_ros.storage.car import CAR_TYPE
from bift_ros.storage.cidv1 import Cid


def wanted_format(request: web.Request) -> str:
    """`raw`, `car` or `file`; `format` goes before `Accept` (IPIP-523)."""
    wanted = request.query.get("format")
    if wanted is None:
        accepted = request.headers.get("Accept", "")
        return "raw" if RAW_TYPE in accepted else "car" if CAR_TYPE in accepted else "file"
    if wanted not in ("raw", "car"):
        raise web.HTTPNotAcceptable(text="served are format=raw, format=car and the file itself\n")
    return wanted


def answer_headers(cid: Cid, tag: str, name: str) -> dict[str, str]:
    """Those that every answer has."""
    return {
        "Etag": tag,
        "Cache-Control": "public, max-age=29030400, immutable",
        "Vary": "Accept",
        "X-Ipfs-Path": f"/ipfs/{cid}",
        "X-Ipfs-Roots": str(cid),
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
    }


def wanted_range(request: web.Request, size: int, tag: str) -> tuple[int, int | None]:
    """First and end byte asked for; the end is None for the whole (RFC 9110, one range only)."""
    if request.headers.get("If-Range", f'"{tag}"') != f'"{tag}"':
        return 0, None
    try:
        asked = request.http_range
    except ValueError:  # malformed, or several: as if it had not been asked
        return 0, None
    if asked.start is None and asked.stop is None:
        return 0, None
    start, stop, _ = asked.indices(size)
    if start >= size or start >= stop:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, stop


def range_headers(start: int, stop: int | None, size: int) -> dict[str, str]:
    """Those of an answer with the bytes from `start` up to `stop` (None: all) of so many."""
    headers = {"Accept-Ranges": "bytes"}
    if stop is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return headers


def entity_bytes(request: web.Request) -> tuple[int, int | None]:
    """`entity-bytes=from:to`, both included, `to` perhaps `*`; the end is None for the last."""
    text = request.query.get("entity-bytes", "0:*")
    first, _, last = text.partition(":")
    if not first.isdecimal() or not (last.isdecimal() or last == "*"):
        raise web.HTTPBadRequest(text="entity-bytes wants from:to with to a number or *\n")
    return int(first), None if last == "*" else int(last) + 1


def has_etag(request: web.Request, tag: str) -> bool:
    """Whether the client says that it holds this very answer (RFC 9110, weak comparison)."""
    return any(held.value in (tag, "*") for held in request.if_none_match or ())
