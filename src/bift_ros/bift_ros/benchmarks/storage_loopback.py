"""``./bift bench storage --loopback``: the embedded store beside plain files and plain HTTP.

`put` is `put_file` beside reading, hashing (SHA-256), writing and syncing the same file with plain
Python file calls. `get` is `get_file` from a second store beside a plain client that writes to disk
and syncs what nginx (where there is one) and `python -m http.server` serve, the faster of the two.
Both sides end with the file durable on disk. All of it takes turns, after a `sync`, and the best
turn of each counts. Memory is the most resident memory above what the process had before, of the
client's and the server's process the larger. `open` is how long a store of a thousand blocks and
more takes to open.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bift_ros.benchmarks import memory
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.embedded import EmbeddedStorage

TURNS = 7
SIZE_MB = 100
BLOCKS = 1000
"""In the store whose opening is timed, at least."""
_PIECE = 1 << 20

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/log;
events {{}}
http {{
  access_log off; sendfile on; client_body_temp_path {home}/a; proxy_temp_path {home}/b;
  fastcgi_temp_path {home}/c; uwsgi_temp_path {home}/d; scgi_temp_path {home}/e;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def run(size_mb: int = SIZE_MB) -> Iterator[dict[str, Any]]:
    """Give the result of `put`, of `get`, and of opening a store."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        source = folder / "source"
        with source.open("wb") as file:
            for number in range(size_mb):
                file.write(hashlib.shake_256(b"%d" % number).digest(1_000_000))
        yield _put(folder, source, size_mb)
        yield _get(folder, source, size_mb)
        yield _open(folder, source)


def _put(folder: Path, source: Path, size_mb: int) -> dict[str, Any]:
    plain = ours = float("inf")
    peak = 0
    for _ in range(TURNS):
        plain = min(plain, _timed(lambda: _copy_and_hash(source, folder / "copy")))
        with EmbeddedStorage(folder / "put", max_bytes=2 * source.stat().st_size) as store:
            idle = memory.reset_peak()
            ours = min(ours, _timed(lambda: store.put_file(source)))
            peak = max(peak, memory.peak() - idle)
        (folder / "copy").unlink()
        shutil.rmtree(folder / "put")
    return _result("put", size_mb, ours, ours / plain, peak)


def _copy_and_hash(source: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as file, target.open("wb") as copy:
        while piece := file.read(_PIECE):
            digest.update(piece)
            copy.write(piece)
        copy.flush()
        os.fsync(copy.fileno())


def _get(folder: Path, source: Path, size_mb: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    server = context.Process(target=_serve, args=(folder / "server", source, far_end))
    server.start()
    url, cid = pipe.recv()
    ours, peak = float("inf"), 0
    target = folder / "target"
    try:
        with _plain_servers(folder) as ports:
            plain = dict.fromkeys(ports, float("inf"))
            for _ in range(TURNS):
                for name, port in ports.items():
                    taken = _timed(partial(_download, port, source.name, target))
                    plain[name] = min(plain[name], taken)
                    target.unlink()
                with EmbeddedStorage(folder / "client") as client:
                    idle = memory.reset_peak(), memory.reset_peak(server.pid or 0)
                    ours = min(ours, _timed(lambda: client.get_file(cid, target, [url])))
                    here = memory.peak() - idle[0]
                    there = memory.peak(server.pid or 0) - idle[1]
                    peak = max(peak, here, there)
                target.unlink()
                shutil.rmtree(folder / "client")
    finally:
        pipe.send("stop")
        server.join()
    fastest = min(plain, key=plain.__getitem__)
    return _result("get", size_mb, ours, plain[fastest] / ours, peak) | {"beside": fastest}


def _serve(home: Path, source: Path, pipe: Connection) -> None:
    """A vehicle with the file, in a process of its own."""
    with EmbeddedStorage(home) as store:
        pipe.send((store.url, store.put_file(source)))
        pipe.recv()


def _download(port: int, name: str, target: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/{name}")
    answer = connection.getresponse()
    with target.open("wb") as file:
        shutil.copyfileobj(answer, file, _PIECE)
        file.flush()
        os.fsync(file.fileno())
    connection.close()


@contextlib.contextmanager
def _plain_servers(folder: Path) -> Iterator[dict[str, int]]:
    """Ports at which the folder is served, by the server's name."""
    port = _free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    commands = {"http.server": (port, [*command, "--directory", str(folder)])}
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is not None:
        port = _free_port()
        home = folder / "nginx"
        home.mkdir()
        settings = home / "nginx.conf"
        settings.write_text(_NGINX.format(home=home, port=port, folder=folder))
        commands["nginx"] = port, [nginx, "-c", str(settings), "-p", str(home)]
    with contextlib.ExitStack() as stack:
        for _, command in commands.values():
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        ports = {name: port for name, (port, _) in commands.items()}
        for port in ports.values():
            _await_port(port)
        yield ports


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _open(folder: Path, source: Path) -> dict[str, Any]:
    """Open a store of one large file and many small ones."""
    home = folder / "blocks"
    blocks = 0
    store = BlockStore(home)
    with source.open("rb") as file:
        size = min(BLOCKS // 2 * 262_144, source.stat().st_size)
        store.put(lambda at, n: os.pread(file.fileno(), n, at), size, 262_144)
        blocks = -(-size // 262_144)
        while blocks < BLOCKS:
            _put_bytes(store, blocks.to_bytes(4, "big"))
            blocks += 1
    store.close()
    taken = float("inf")
    for _ in range(TURNS):
        begun = time.perf_counter()
        BlockStore(home).close()
        taken = min(taken, time.perf_counter() - begun)
    return {
        "backend": "embedded",
        "direction": "open",
        "blocks": blocks,
        "milliseconds": round(taken * 1e3, 1),
    }


def _put_bytes(store: BlockStore, data: bytes) -> None:
    store.put(lambda at, n: data[at : at + n], len(data), 262_144)


def _timed(work: Callable[[], object]) -> float:
    os.sync()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _result(
    direction: str, size_mb: int, seconds: float, ratio: float, peak: int
) -> dict[str, Any]:
    return {
        "backend": "embedded",
        "direction": direction,
        "mb": size_mb,
        "seconds": round(seconds, 4),
        "mb_per_s": round(size_mb / seconds, 1),
        "ratio": round(ratio, 3),
        "peak_mb_above_idle": round(peak / 1e6, 1),
    }
