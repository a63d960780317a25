"""Findings on `/diagnostics`, as `diagnostic_aggregator` and others of ROS read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from bift_ros.monitoring.findings import Finding

DIAGNOSTICS = "/diagnostics"


def status_name(subject: str, part: str) -> str:
    """What the status of a part of a vehicle is called; `config/diagnostics/` goes by it."""
    return f"bift/{subject}: {part}"


class Diagnostics:
    """Publishes findings."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, DIAGNOSTICS, 10)
        self._told: dict[str, tuple[Finding, DiagnosticStatus]] = {}

    @property
    def watched(self) -> bool:
        """Whether anybody reads them."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, findings: Iterable[Finding], addresses: Mapping[str, str]) -> None:
        """Say how all is; `addresses` are the vehicles' by name."""
        array = DiagnosticArray(
            status=[self._status(f, addresses.get(f.subject, "")) for f in findings]
        )
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)

    def _status(self, finding: Finding, address: str) -> DiagnosticStatus:
        """A message; most are those of a second before, and making them is dear."""
        name = status_name(finding.subject, finding.part)
        before, message = self._told.get(name, (None, None))
        if message is None or finding != before:
            message = DiagnosticStatus(
                level=bytes([finding.level]),
                name=name,
                message=finding.message,
                hardware_id=address,
                values=[KeyValue(key=key, value=value) for key, value in finding.values.items()],
            )
            self._told[name] = (finding, message)
        return message
