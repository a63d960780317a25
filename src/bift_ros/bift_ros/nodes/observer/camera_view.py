"""A vehicle's camera as the fleet's global model sees it, in a process of its own.

Run as `./bift monitor camera vehicle_00`; `monitor.launch.py` does that for `camera:=vehicle_00`.
"""

from __future__ import annotations

import sys

from bift_ros.nodes.lifetime import run_until_signalled
from bift_ros.nodes.observer.camera_view_node import CameraViewNode


def main(arguments: list[str] | None = None) -> int:
    """Publish what it sees."""
    return run_until_signalled(CameraViewNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
