"""A node that stands on one of the buses by itself."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stderr

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.experimental import EventsExecutor
from rclpy.signals import SignalHandlerOptions

from bift_ros.nodes.bare_node import BareNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.loopback import staying_here

_EXECUTORS = {Bus.OWN: EventsExecutor, Bus.FLEET: SingleThreadedExecutor}


class BusNode:
    """A node on one of the buses, with a ROS context and an executor that nothing else has.

    It has no endpoints but those that it is given. On its own bus it is on the events executor:
    another one wakes up at a cost that grows with the number of subscriptions, which for those who
    hear all vehicles is far more than that of the messages. But that one queues an event for each
    message that comes, however many they are, and handles all in that order. So on the fleet's bus,
    of few topics and strangers, it is on one that looks what is there, and lets each topic and
    service have its turn.
    """

    def __init__(self, bus: Bus, name: str, namespace: str | None = None) -> None:
        """Raises BusError and OSError."""
        self._context = rclpy.Context()
        with bus.entered(), staying_here() if bus is Bus.OWN else nullcontext():
            rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
            self.node = BareNode(
                name, context=self._context, namespace=namespace, use_global_arguments=False
            )
        # It hands sys.stderr to faulthandler, which needs a descriptor: a notebook's has none.
        with redirect_stderr(sys.__stderr__):
            self.executor = _EXECUTORS[bus](context=self._context)
        self.executor.add_node(self.node)

    def close(self) -> None:
        """Leave the ROS graph; nobody may spin any more."""
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)
