"""A `secured_node` in a process of its own, as those see it who tell it what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Variables = Mapping[str, str]


class Node:
    """The process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._answer() == "here"

    def __call__(self, method: str, *arguments: object, wanted: object = None) -> Any:
        """What it answers; what is `wanted` it waits for."""
        assert self._process.stdin is not None
        print(json.dumps([method, arguments, wanted]), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"it ended with {self._process.wait()}"
        return json.loads(line)


@contextmanager
def joined(environment: Variables, bus: str, namespace: str) -> Iterator[Node]:
    program = str(Path(__file__).with_name("secured_node.py"))
    process = subprocess.Popen(
        [sys.executable, program, bus, namespace],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Node(process)
    finally:
        process.kill()
        process.communicate()
