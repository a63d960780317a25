"""Who was refused what, as the vehicles' logs tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bift_ros.fleet.runtimes.log_files import read_logs
from bift_ros.reports.run import Refusal

_LINE = re.compile(r"^\[WARN\] .*?: refused (?P<what>\w+)(?: from (?P<who>[^:]+))?: (?P<why>.*)$")
"""What `PeerNode` logs."""


@dataclass
class _Heard:
    times: int = 0
    vehicles: set[str] = field(default_factory=set)
    reason: str = ""


def read_refusals(logs: Mapping[str, Path]) -> tuple[Refusal, ...]:
    """Sum up the refusals in vehicles' logs, by sender and kind; those refused most come first."""
    heard: dict[tuple[str, str], _Heard] = {}
    for vehicle, line in read_logs(logs):
        found = _LINE.match(line)
        if found is None:
            continue
        entry = heard.setdefault((found["who"] or "", found["what"]), _Heard())
        entry.times += 1
        entry.vehicles.add(vehicle)
        entry.reason = found["why"]
    refusals = [
        Refusal(who, what, entry.times, tuple(sorted(entry.vehicles)), entry.reason)
        for (who, what), entry in heard.items()
    ]
    return tuple(sorted(refusals, key=lambda r: (-r.times, r.sender, r.what)))
