"""Watches a fleet and tells rqt, RViz, PlotJuggler and others of ROS how it is. Reads only.

Run as `ros2 run bift_ros monitor`, or `./bift monitor run`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Float64

from bift_ros.monitoring.findings import Thresholds
from bift_ros.monitoring.health import HealthMonitor
from bift_ros.monitoring.metrics import FLEET_METRICS, VEHICLE_METRICS
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.lifetime import run_until_signalled
from bift_ros.nodes.loopback import staying_here
from bift_ros.nodes.observer.diagnostics import Diagnostics
from bift_ros.nodes.observer.fleet_recorder import FleetRecorder
from bift_ros.nodes.observer.fleet_subscriptions import FleetSubscriptions
from bift_ros.nodes.observer.scene_publisher import ScenePublisher
from bift_ros.perception.bags import BagError

_PERIOD_SECONDS = 1.0
_UNWATCHED_SECONDS = 5.0
"""Between two judgements while nobody reads them: those of later build on earlier ones."""


def metric_topic(name: str, vehicle: str = "") -> str:
    """Topic of a number of the fleet, or of a vehicle."""
    return f"/bift/monitor/{vehicle}/{name}" if vehicle else f"/bift/monitor/{name}"


class MonitorNode(Node):
    """Publishes diagnostics once a second, each number of `monitoring.metrics` as it changes, and
    markers while somebody looks.

    `view` is what is known of the fleet, guarded by `lock`. Raises BagError where it can't record.
    """

    def __init__(self) -> None:
        with staying_here():
            super().__init__("monitor", namespace="bift", enable_rosout=False)
        settings = parameters.declare(self, parameters.MONITOR)
        self.view, self.lock = FleetView(), threading.Condition()
        self._recorder = FleetRecorder(Path(settings["record"])) if settings["record"] else None
        tap = self._record if self._recorder is not None else None
        self._fleet = BackgroundNode(Bus.FLEET, "monitor", "bift")
        FleetSubscriptions(self, self._fleet.node, self.view, self.lock, tap=tap)
        thresholds = Thresholds(**{f.name: settings[f.name] for f in fields(Thresholds)})
        self._health = HealthMonitor(self.view, thresholds)
        self._diagnostics = Diagnostics(self)
        self._judged_at = 0.0
        self._scene = ScenePublisher(self, self.view, self.lock)
        self._numbers: dict[str, tuple[Publisher, float | None]] = {}

    def start(self) -> None:
        """Begin to listen and to tell."""
        self._fleet.start()
        self.create_timer(_PERIOD_SECONDS, self._publish)

    def stop(self) -> None:
        """Complete the bag, if one is being recorded, and leave the ROS graph."""
        self._fleet.close()
        if self._recorder is not None:
            with self._recording_may_end():
                self._recorder.close()
        self._scene.close()
        self.destroy_node()

    def _record(self, topic: str, message: Any) -> None:
        if self._recorder is not None:
            with self._recording_may_end():
                self._recorder.take(topic, message)

    @contextmanager
    def _recording_may_end(self) -> Iterator[None]:
        """A disk that is full ends the recording, not the watching."""
        try:
            yield
        except BagError as error:
            self._recorder = None
            self.get_logger().error(str(error))

    def _publish(self) -> None:
        now = time.monotonic()
        if self._diagnostics.watched or now >= self._judged_at + _UNWATCHED_SECONDS:
            self._judged_at = now
            with self.lock:
                findings = self._health.check(now)
                addresses = {name: v.address for name, v in self.view.vehicles.items()}
            self._diagnostics.publish(findings, addresses)
        with self.lock:
            numbers = {metric_topic(name): of(self.view) for name, of in FLEET_METRICS.items()}
            for vehicle in self.view.vehicles.values():
                for name, of_vehicle in VEHICLE_METRICS.items():
                    numbers[metric_topic(name, vehicle.name)] = of_vehicle(vehicle)
        for topic, value in numbers.items():
            self._tell(topic, value)

    def _tell(self, topic: str, value: float | None) -> None:
        """Publish a number that is new; what is None is not known yet, but its topic is there."""
        if topic not in self._numbers:
            self._numbers[topic] = (self.create_publisher(Float64, topic, qos.STATUS), None)
        publisher, before = self._numbers[topic]
        if value is not None and value != before:
            self._numbers[topic] = (publisher, value)
            publisher.publish(Float64(data=value))


def main(arguments: list[str] | None = None) -> int:
    """Watch the fleet."""
    return run_until_signalled(MonitorNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
