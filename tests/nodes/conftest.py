"""A ROS context of a test's own: a domain that no other run on this machine hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from bift_ros.fleet.runtimes.domain import ros_environment

settings.register_profile("nodes", deadline=None)  # a busy machine is no failure
settings.load_profile("nodes")


class Ros:
    """The default context, initialized with arguments, and an executor that spins on demand.

    It is the car's bus; nodes of the fleet's bus are spun by threads of their own.
    """

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self._rclpy, self._executor_type = rclpy, SingleThreadedExecutor
        self._nodes: list[Any] = []
        self._fleet: list[Any] = []
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

    def fleet_node(self, name: str) -> Any:
        """One on the fleet's bus."""
        from bift_ros.nodes.background_node import BackgroundNode
        from bift_ros.nodes.buses import Bus

        background = BackgroundNode(Bus.FLEET, name, "car")
        background.start()
        self._fleet.append(background)
        return background.node

    def spin_until(
        self, condition: Callable[[], bool], seconds: float = 60.0, what: str = "the event"
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        for background in self._fleet:
            background.close()
        if self._executor is not None:
            self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        self._rclpy.try_shutdown()


@pytest.fixture
def plain_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDP alone, between processes too: tests that are killed leave shared memory behind.

    Processes that began at once on a busy machine have missed each other for minutes over it.
    """
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")


@pytest.fixture
def ros(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ros]:
    ros = Ros()
    with ros_environment() as (environment, _):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield ros
        ros.close()
