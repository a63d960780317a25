"""How long a process of ROS nodes lives: until SIGINT or SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from bift_ros.nodes.buses import Bus, BusError
from bift_ros.perception.bags import BagError
from bift_ros.storage.interface import StorageError


@contextmanager
def ros_until_signalled(arguments: Sequence[str] | None = None) -> Iterator[Callable[[], bool]]:
    """rclpy on the car's bus, initialized with the process's arguments unless others are given.

    Gives a function that says whether SIGINT or SIGTERM has come; a second one ends the process at
    once. rclpy's own handlers would take the context away from threads that still publish. Raises
    BusError.
    """
    signalled: list[int] = []

    def on_signal(number: int, _: object) -> None:
        signalled.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    with Bus.OWN.entered():
        rclpy.init(
            args=list(sys.argv if arguments is None else arguments),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    try:
        yield lambda: bool(signalled)
    finally:
        rclpy.try_shutdown()


@contextmanager
def explained(*kinds: type[Exception]) -> Iterator[None]:
    """Say what is wrong with a process's settings, and end it with the status 2."""
    try:
        yield
    except kinds as error:
        print(f"bift: {error}", file=sys.stderr)
        raise SystemExit(2) from error


def run_until_signalled(
    make: Callable[[], Any],
    arguments: list[str] | None,
    ended: Callable[[], bool] = lambda: False,
) -> int:
    """`start` a node, and `stop` it on SIGINT or SIGTERM, or once it has `ended` by itself.

    Gives the exit status; exits with 2 where its settings are wrong.
    """
    with explained(BusError), ros_until_signalled(arguments) as signalled:
        with explained(ParameterException, StorageError, BagError, OSError):
            node = make()
        executor = EventsExecutor()
        executor.add_node(node)
        try:
            node.start()
            while not (signalled() or ended()):
                executor.spin_once(timeout_sec=1.0)
        finally:
            executor.shutdown()
            node.stop()
    return 0
