"""A recorded fleet for those who watch: `./bift monitor replay BAG`.

Run as `python -m bift_ros.nodes.bag.fleet_replay --ros-args -p bag:=FOLDER`; `replay.launch.py`
with `monitoring:=FOLDER` does that.
"""

from __future__ import annotations

import sys

from bift_ros.nodes.bag.fleet_replay_node import FleetReplayNode
from bift_ros.nodes.bag.replay import play


def main(arguments: list[str] | None = None) -> int:
    """Play the bag of the parameters once."""
    return play(FleetReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
