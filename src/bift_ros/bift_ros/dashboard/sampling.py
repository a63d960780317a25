"""What shows only over time: a fleet's traffic and health, looked at once a second."""

from __future__ import annotations

from bift_ros.dashboard.traffic import Traffic
from bift_ros.monitoring.findings import Finding, Level, Thresholds
from bift_ros.monitoring.health import HealthMonitor
from bift_ros.monitoring.view import FleetView


class Sampler:
    """Looks at one fleet's view from time to time, and remembers."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        """`traffic`: what was sampled before."""
        self.traffic = traffic or Traffic()
        self.findings: tuple[Finding, ...] = ()
        """What needs attention, the fleet's own first."""
        self.revision = 0
        """Grows whenever the findings are others."""
        self._health: HealthMonitor | None = None

    def sample(self, view: FleetView, now: float) -> None:
        """Take in how the fleet is at `now`, in seconds of the listener's clock."""
        self.traffic.sample(view, now)
        self._health = self._health or HealthMonitor(view, Thresholds())
        findings = tuple(_worth_telling(self._health.check(now)))
        if findings != self.findings:
            self.findings = findings
            self.revision += 1


def _worth_telling(findings: list[Finding]) -> list[Finding]:
    """Those that are not well; one of a vehicle that is not heard, as all its parts are stale."""
    told: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        if finding.level != Level.OK:
            part = "" if finding.level == Level.STALE else finding.part
            told.setdefault((finding.subject, part), finding)
    return list(told.values())
