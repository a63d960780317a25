"""Plays a bag of a fleet's topics, as `FleetRecorder` writes it, for whoever watches.

Run as `./bift monitor replay BAG`; `replay.launch.py` does that for `monitoring:=FOLDER`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from rclpy.node import Node
from rclpy.qos import QoSProfile

from bift_ros.nodes.bag.bag_player import BagPlayer, play
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.fleet_topics import is_of_the_fleet, kind_of

_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05


class FleetReplayNode(BagPlayer):
    """Speaks in place of all vehicles, on both buses: run it where there are none.

    It begins when somebody listens, or after 5 seconds.
    """

    PLAYS = "fleet"

    def __init__(self, on_finished: Callable[[str | None], None]) -> None:
        """`on_finished` is called from the thread, with an error's text or None."""
        super().__init__("fleet_replay", on_finished)
        self._fleet = BusNode(Bus.FLEET, "fleet_replay")

    def prepare(self, topics: Iterable[str]) -> None:
        """Be found before the first message."""
        publishers = [p for topic in topics if (p := self.publisher(topic)) is not None]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not any(p.get_subscription_count() for p in publishers):
            if time.monotonic() > deadline or self.stopped_within(_POLL_SECONDS):
                return

    def stop(self) -> None:
        """Stop playing and leave the fleet's bus."""
        super().stop()
        self._fleet.close()

    def speaker(self, topic: str) -> Node:
        """On the bus where vehicles say it."""
        return self._fleet.node if is_of_the_fleet(topic) else self

    def output(self, topic: str) -> tuple[type, str, QoSProfile] | None:
        """The topic itself, where it is one of a fleet's."""
        kind = kind_of(topic)
        return (kind.type, topic, kind.profile) if kind is not None else None


def main(arguments: list[str] | None = None) -> int:
    """Play the bag of the parameters."""
    return play(FleetReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
