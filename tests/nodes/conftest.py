"""A ROS context of a test's own: a domain that no other run on this machine hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from bift_ros.fleet.runtimes.domain import claimed_domain

settings.register_profile("nodes", deadline=None)  # a busy machine is no failure
settings.load_profile("nodes")


class Ros:
    """The default context, initialized with arguments, and an executor that spins on demand."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._rclpy, self._executor_type = rclpy, SingleThreadedExecutor
        self._nodes: list[Any] = []
        self._executor: Any = None

    def start(self, *arguments: str) -> None:
        """Initialize with ROS arguments, such as parameters (`-p NAME:=VALUE`)."""
        self._rclpy.init(args=["test", "--ros-args", *arguments])
        self._executor = self._executor_type()

    def add(self, node: Any) -> Any:
        """Spin this node too, and destroy it in the end."""
        self._executor.add_node(node)
        self._nodes.append(node)
        return node

    def node(self, name: str) -> Any:
        """A bare node, to publish and subscribe with."""
        return self.add(self._rclpy.create_node(name, namespace="/car"))

    def spin_until(
        self, condition: Callable[[], bool], seconds: float = 60.0, what: str = "the event"
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        self._rclpy.try_shutdown()


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ros]:
    ros = Ros()
    with claimed_domain() as (domain, _):
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield ros
        ros.close()
