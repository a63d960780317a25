"""Every topic that the monitor publishes, and its type."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Float64
from visualization_msgs.msg import MarkerArray

from bift_ros.monitoring.metrics import FLEET_METRICS, VEHICLE_METRICS
from bift_ros.nodes.observer.diagnostics import DIAGNOSTICS
from bift_ros.nodes.observer.monitor_node import metric_topic
from bift_ros.nodes.observer.scene_publisher import SCENE_TOPICS


def topics(*vehicles: str) -> dict[str, type]:
    """Message type by topic, with those of the given vehicles."""
    numbers = [metric_topic(name) for name in FLEET_METRICS]
    numbers += [metric_topic(name, v) for v in vehicles for name in VEHICLE_METRICS]
    return {
        DIAGNOSTICS: DiagnosticArray,
        **dict.fromkeys(SCENE_TOPICS, MarkerArray),
        **dict.fromkeys(numbers, Float64),
    }
