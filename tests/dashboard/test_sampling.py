"""What needs attention is told once for each part that is not well."""

from __future__ import annotations

from synthetic_fleet import HEARD, NOW, SyntheticFleet

from bift_ros.dashboard.sampling import Sampler
from bift_ros.monitoring.findings import Level


def test_a_silent_vehicle_is_one_finding_not_one_for_each_part() -> None:
    fleet, sampler = SyntheticFleet(vehicles=12, blocks=9), Sampler()
    sampler.sample(fleet.view, NOW)
    stale = [f for f in sampler.findings if f.level == Level.STALE]
    assert [(f.subject, f.message) for f in stale] == [("vehicle_11", "not heard for 42 s")]


def test_the_revision_grows_only_with_other_findings() -> None:
    fleet, sampler = SyntheticFleet(vehicles=3, blocks=9), Sampler()
    sampler.sample(fleet.view, HEARD)
    before = sampler.revision
    sampler.sample(fleet.view, HEARD + 1)
    assert sampler.revision == before
    fleet.say(1, HEARD, disk_free_mb=100)
    sampler.sample(fleet.view, HEARD + 2)
    assert sampler.revision == before + 1
    assert ("vehicle_01", "storage", Level.ERROR) in [
        (f.subject, f.part, f.level) for f in sampler.findings
    ]


def test_what_is_well_is_not_told() -> None:
    fleet, sampler = SyntheticFleet(vehicles=30, blocks=9), Sampler()
    sampler.sample(fleet.view, NOW)
    assert all(f.level != Level.OK for f in sampler.findings)
