"""How long a process of ROS nodes lives: until SIGINT or SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.signals import SignalHandlerOptions


@contextmanager
def ros_until_signalled(arguments: Sequence[str] | None = None) -> Iterator[Callable[[], bool]]:
    """rclpy, initialized with the process's arguments unless others are given.

    Gives a function that says whether SIGINT or SIGTERM has come; a second one ends the process at
    once. rclpy's own handlers would take the context away from threads that still publish.
    """
    signalled: list[int] = []

    def on_signal(number: int, _: object) -> None:
        signalled.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    rclpy.init(
        args=list(sys.argv if arguments is None else arguments),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        yield lambda: bool(signalled)
    finally:
        rclpy.try_shutdown()
