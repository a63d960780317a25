"""A fleet's picture for RViz: vehicles, chain and messages under way as markers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from bift_ros.monitoring.chain_scene import chain_shapes
from bift_ros.monitoring.flight_scene import flight_shapes
from bift_ros.monitoring.layout import lay_out
from bift_ros.monitoring.scene import Layer, Shape
from bift_ros.monitoring.vehicle_scene import vehicle_shapes
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.observer.markers import marker_array
from bift_ros.nodes.observer.pose_reader import PoseReader

SCENE_TOPICS = tuple(f"/bift/scene/{name}" for name in ("vehicles", "chain", "messages"))

_PERIOD_SECONDS = 0.2
_IDLE_SECONDS = 1.0
"""How often it is looked whether anybody looks."""
_ANEW_SECONDS = 5.0
"""All is drawn anew so often, for whoever lost a message."""


class ScenePublisher:
    """Publishes below `/bift/scene/` what has changed, five times a second, while anybody looks."""

    def __init__(self, node: Node, view: FleetView, lock: threading.Condition) -> None:
        """`lock` guards the view."""
        self._view, self._lock = view, lock
        frame = parameters.declare(node, parameters.SCENE)["frame"]
        self._poses = PoseReader(node, frame)
        self._vehicles, self._chain, self._messages = self._topics = tuple(
            _SceneTopic(node, name, frame) for name in SCENE_TOPICS
        )
        self._timer = node.create_timer(_IDLE_SECONDS, self._publish)

    def close(self) -> None:
        """Stop reading poses; the rest ends with the node."""
        self._poses.close()

    def _publish(self) -> None:
        now = time.monotonic()
        watched = [topic for topic in self._topics if topic.is_watched(now)]
        period = _PERIOD_SECONDS if watched else _IDLE_SECONDS
        if self._timer.timer_period_ns != round(period * 1e9):
            self._timer.timer_period_ns = round(period * 1e9)
        if not watched:
            return
        with self._lock:
            view = self._view
            layout = lay_out(view.vehicles, self._poses.read(view.vehicles))
            pictures = {
                self._vehicles: vehicle_shapes(view, layout, now),
                self._chain: chain_shapes(view, layout),
                self._messages: flight_shapes(view, layout, now),
            }
            for topic in watched:
                topic.show(pictures[topic])


class _SceneTopic:
    """One topic of markers, and what its readers have been told."""

    def __init__(self, node: Node, name: str, frame: str) -> None:
        self._publisher = node.create_publisher(MarkerArray, name, qos.SCENE)
        self._clock, self._frame = node.get_clock(), frame
        self._layer = Layer()
        self._readers = 0
        self._anew_at = 0.0

    def is_watched(self, now: float) -> bool:
        """Tell whether anybody reads this topic; a new reader is to be shown everything."""
        before, self._readers = self._readers, self._publisher.get_subscription_count()
        if self._readers > before or now >= self._anew_at:
            self._layer.forget()
            self._anew_at = now + _ANEW_SECONDS
        return self._readers > 0

    def show(self, shapes: Iterable[Shape]) -> None:
        """Publish what has changed, if anything."""
        changes = self._layer.turn_into(shapes)
        if changes:
            stamp = self._clock.now().to_msg()
            self._publisher.publish(marker_array(changes, self._frame, stamp))
