"""Whether a vehicle is well: it writes its status all the time, so an old one tells of a hang.

A container's health check runs this every half minute in every vehicle. So it looks at a file,
which takes a hundredth of a second, and needs no environment and no DDS participant.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

STATUS_FILE = "/run/bift/status.json"
"""Where a vehicle in a container writes its status."""
OLDEST_SECONDS = 20.0
"""A busy host may delay a vehicle; this is no longer a delay."""


def main(file: str = STATUS_FILE, oldest: float = OLDEST_SECONDS) -> int:
    """Say whether the status is fresh; 1 where it is not."""
    try:
        age = time.time() - Path(file).stat().st_mtime
    except OSError as error:
        print(f"no status: {error}")
        return 1
    print(f"last status {age:.1f} s ago")
    return int(age > oldest)


if __name__ == "__main__":
    sys.exit(main())
