"""A node on one of the buses that does what lines of its standard input say, an answer for each.

Run as `python secured_node.py BUS NAMESPACE`; its enclave and all else is in the environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from bift_msgs.msg import Tip
from bift_msgs.srv import GetHeaders
from rclpy.impl.implementation_singleton import rclpy_implementation

from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus

PATIENCE = 60.0
"""Seconds in which what is allowed has to be found, on a busy machine."""


class Secured:
    """The node, and what it has heard."""

    def __init__(self, bus: Bus, namespace: str) -> None:
        self._background = BackgroundNode(bus, "secured", namespace)
        self._node = self._background.node
        self._said: list[Any] = []
        self._clients: dict[str, Any] = {}
        self._heard: set[tuple[str, bool]] = set()
        self._node.create_timer(0.1, self._say)
        self._background.start()

    def _say(self) -> None:
        for publisher in self._said:
            publisher.publish(Tip())

    def topics(self) -> list[str]:
        """All that it sees, by DDS' names."""
        return sorted(name for name, _ in self._node.get_topic_names_and_types(no_demangle=True))

    def publishers(self, topic: str) -> int:
        """Of how many it knows."""
        return int(self._node.count_publishers(topic))

    def heard(self, topic: str, by_vehicle: bool) -> bool:
        """Whether there was any message, by a vehicle or by another one such as this."""
        return (topic, by_vehicle) in self._heard

    def say(self, topic: str) -> str:
        """Publish on a topic from now on."""
        return self._try(lambda: self._said.append(self._node.create_publisher(Tip, topic, 1)))

    def hear(self, topic: str) -> str:
        """Subscribe to a topic."""

        def take(message: Tip) -> None:
            self._heard.add((topic, message != Tip()))

        return self._try(lambda: self._node.create_subscription(Tip, topic, take, 1))

    def serve(self, service: str) -> str:
        """Offer a service."""
        answer = lambda _, response: response  # noqa: E731
        return self._try(lambda: self._node.create_service(GetHeaders, service, answer))

    def call(self, service: str) -> str:
        """Be ready to call a service."""

        def make() -> None:
            self._clients[service] = self._node.create_client(GetHeaders, service)

        return self._try(make)

    def ready(self, service: str) -> bool:
        """Whether somebody answers it."""
        return bool(self._clients[service].service_is_ready())

    @staticmethod
    def _try(make: Any) -> str:
        try:
            make()
        except rclpy_implementation.RCLError:
            return "refused"
        return "made"


def main() -> None:
    """Answer each line, a list of a method, its arguments and perhaps the answer to wait for."""
    bus, namespace = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Fast DDS logs to standard output
    secured = Secured(Bus[bus], namespace)
    print(json.dumps("here"), file=answers, flush=True)
    pause = threading.Event()
    for line in sys.stdin:
        method, arguments, wanted = json.loads(line)
        until = time.monotonic() + PATIENCE
        answer = getattr(secured, method)(*arguments)
        while wanted is not None and answer != wanted and time.monotonic() < until:
            pause.wait(0.1)
            answer = getattr(secured, method)(*arguments)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
