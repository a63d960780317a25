"""Reading vehicles' log files, to their end or for as long as they grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

_POLL_SECONDS = 0.2


def read_logs(
    files: Mapping[str, Path], grow: Callable[[], bool] = lambda: False
) -> Iterator[tuple[str, str]]:
    """Names and lines, one file after the other, then new ones as they come while `grow()`.

    A file that isn't there yet is waited for.
    """
    logs: dict[str, _Log] = {name: _Log(path) for name, path in files.items()}
    while True:
        growing = grow()  # asked first: what was written before the end is still read
        for name, log in logs.items():
            for line in log.lines(last=not growing):
                yield name, line
        if not growing:
            return
        time.sleep(_POLL_SECONDS)


class _Log:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._begun = ""

    def lines(self, last: bool) -> Iterator[str]:
        """What has come since; `last`: with a line that has no end."""
        if self._file is None:
            if not self._path.exists():
                return
            self._file = self._path.open(encoding="utf-8", errors="replace")
        *whole, self._begun = (self._begun + self._file.read()).split("\n")
        yield from whole
        if last:
            self._file.close()
            if self._begun:
                yield self._begun
