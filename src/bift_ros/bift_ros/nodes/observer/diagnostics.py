"""Findings as ROS has them: `/diagnostics`, and the tree of it that rqt_robot_monitor shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from bift_ros.monitoring.findings import Finding, Level

DIAGNOSTICS = "/diagnostics"
"""A status for each part of each vehicle, called `bift/VEHICLE: PART`."""
AGGREGATED = "/diagnostics_agg"
"""The same as a tree, `/bift/VEHICLE/PART`, as diagnostic_aggregator would make of it."""


class Diagnostics:
    """Publishes findings. The tree only where somebody looks at it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._flat = node.create_publisher(DiagnosticArray, DIAGNOSTICS, 10)
        self._tree = node.create_publisher(DiagnosticArray, AGGREGATED, 10)
        self._told: dict[str, tuple[Finding, DiagnosticStatus]] = {}

    @property
    def watched(self) -> bool:
        """Whether anybody reads either."""
        topics = (self._flat, self._tree)
        return any(topic.get_subscription_count() for topic in topics)

    def publish(self, findings: Iterable[Finding], addresses: Mapping[str, str]) -> None:
        """Say how all is; `addresses` are the vehicles' by name."""
        findings = list(findings)
        flat = [
            self._status(f"bift/{f.subject}: {f.part}", f, addresses.get(f.subject, ""))
            for f in findings
        ]
        self._flat.publish(self._array(flat))
        if self._tree.get_subscription_count():
            self._tree.publish(self._array(self._branches(findings, addresses)))

    def _branches(
        self, findings: list[Finding], addresses: Mapping[str, str]
    ) -> list[DiagnosticStatus]:
        """The root, each vehicle and each part; whatever has parts is as bad as the worst."""
        subjects: dict[str, list[Finding]] = {}
        for finding in findings:
            subjects.setdefault(finding.subject, []).append(finding)
        statuses = [self._status("/bift", _worst(findings, "bift"), "")]
        for subject, parts in subjects.items():
            address = addresses.get(subject, "")
            statuses.append(self._status(f"/bift/{subject}", _worst(parts, subject), address))
            statuses += (self._status(f"/bift/{subject}/{f.part}", f, address) for f in parts)
        return statuses

    def _status(self, name: str, finding: Finding, address: str) -> DiagnosticStatus:
        """A message; most are those of a second before, and making them is dear."""
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

    def _array(self, statuses: list[DiagnosticStatus]) -> DiagnosticArray:
        array = DiagnosticArray(status=statuses)
        array.header.stamp = self._node.get_clock().now().to_msg()
        return array


def _worst(findings: Iterable[Finding], subject: str) -> Finding:
    worst = max(findings, key=lambda finding: finding.level, default=None)
    if worst is None or worst.level == Level.OK:
        return Finding(subject, "", Level.OK, "OK")
    return Finding(subject, "", worst.level, f"{worst.subject}: {worst.part}: {worst.message}")
