"""Work that takes its time elsewhere, and goes on in the executor's thread.

In callbacks and not in coroutines, since rclpy's events executor keeps a core busy as long as any
coroutine waits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from rclpy.node import Node

_Result = TypeVar("_Result")


def when_done(node: Node, work: Future[_Result], step: Callable[[Future[_Result]], None]) -> None:
    """Have the node's executor call `step` with `work` once that is done, well or not."""
    executor = node.executor
    assert executor is not None, "the node is with an executor as long as it runs"
    work.add_done_callback(lambda done: executor.create_task(step, done))
