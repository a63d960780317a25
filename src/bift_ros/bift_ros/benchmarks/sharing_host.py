"""One host of the sharing experiment, as a process in its own network namespace.

A job is a JSON line on its standard input, its answer one on its standard output. Jobs of many
hosts begin at one moment: each says when, by the clock that all processes share.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bift_ros.fleet.runtimes.namespaces import enter_namespace
from bift_ros.fleet.runtimes.processes import end_with_parent

STOP_TIMEOUT = 30.0
"""Seconds that a host may take to end what it started before it is killed."""


class HostError(Exception):
    """What went wrong on a host."""


class Host:
    """Starts one and talks to it. One job at a time."""

    def __init__(self, backend: str, home: Path, host: str, namespace: int, others: Sequence[str]):
        """Start to open a backend in `home`; `opened` says when it is done."""
        self.name = home.name
        self.address = ""
        """What others are told of it, once it is opened."""
        self._log = home.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, backend, str(home), host, *others],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # a Ctrl-C reaches it through `stop`
                preexec_fn=partial(_prepare, namespace),
            )

    def opened(self) -> None:
        """Wait until it is ready. Raises HostError."""
        self.address = self.answer()["result"]

    def ask(self, job: str, *arguments: Any, at: float = 0.0) -> None:
        """Have a method of its backend called at a moment of `time.monotonic()`."""
        assert self._process.stdin is not None
        line = json.dumps({"job": job, "arguments": arguments, "at": at})
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def answer(self) -> dict[str, Any]:
        """Wait for the end of the job: its `result` and the `seconds` it took. Raises HostError."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise HostError(f"{self.name}: {answer['error']}")
        return answer

    def let_go(self) -> None:
        """Tell it to end; `stop` waits for that."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self) -> None:
        """End it, in time or by force."""
        self.let_go()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ended(self) -> HostError:
        tail = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        return HostError(f"{self.name} ended: {' '.join(tail) or 'it left no message'}")


def _prepare(namespace: int) -> None:
    enter_namespace(namespace)
    end_with_parent()


def main() -> None:
    """Open the backend and do jobs until the standard input ends."""
    from bift_ros.benchmarks.sharing_backends import BACKENDS

    backend, home, host, *others = sys.argv[1:]
    answers = sys.stdout
    sys.stdout = sys.stderr  # whoever else prints does so into the log
    try:
        opened = BACKENDS[backend](Path(home), host, others)
    except Exception as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
        return
    try:
        print(json.dumps({"result": opened.address}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_do(opened, json.loads(line))), file=answers, flush=True)
    finally:
        opened.close()


def _do(backend: Any, order: dict[str, Any]) -> dict[str, Any]:
    arguments = order["arguments"]
    work = (
        partial(backend.publish, Path(arguments[0]))
        if order["job"] == "publish"
        else partial(backend.fetch, *arguments[:-1], Path(arguments[-1]))
    )
    time.sleep(max(0.0, order["at"] - time.monotonic()))
    begun = time.monotonic()
    try:
        result = work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"result": result, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    main()
