"""Prints a vehicle's status, a line of JSON, whenever it changes; ends with its standard input.

`engine_monitor` runs this in every container that it watches. Reading the file through the engine
instead takes a process in the host and a mount each time: thirty vehicles' took more than a core.
It stands alone, without the environment, so that it starts in some hundredths of a second.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

_PERIOD_SECONDS = 0.5
"""As often as vehicles write."""


def main(file: str, oldest_seconds: float) -> None:
    """Print it, again and again; one that is older than this many seconds is passed over."""
    last = None
    while True:
        try:
            stat = Path(file).stat()
            if stat.st_mtime_ns != last and time.time() - stat.st_mtime <= oldest_seconds:
                last = stat.st_mtime_ns
                print(Path(file).read_text(), flush=True)
        except OSError:
            pass  # it has not spoken yet
        readable, _, _ = select.select([sys.stdin], [], [], _PERIOD_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1):
            return


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
