"""Who was refused what, as the vehicles' logs tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bift_ros.fleet.runtimes.log_files import read_logs
from bift_ros.reports.run import Refusal

_LINE = re.compile(r"^\[WARN\] .*?: refused (?P<what>\w+)(?: from (?P<who>[^:]+))?: (?P<why>.*)$")
"""What `PeerNode` logs."""


def read_refusals(logs: Mapping[str, Path]) -> tuple[Refusal, ...]:
    """Sum up the refusals in vehicles' logs, by sender and kind; those refused most come first."""
    heard: dict[tuple[str, str], list[tuple[str, str]]] = {}  # → (vehicle, reason) of each
    for vehicle, line in read_logs(logs):
        if found := _LINE.match(line):
            refused = heard.setdefault((found["who"] or "", found["what"]), [])
            refused.append((vehicle, found["why"]))
    refusals = [
        Refusal(who, what, len(told), tuple(sorted({name for name, _ in told})), told[-1][1])
        for (who, what), told in heard.items()
    ]
    return tuple(sorted(refusals, key=lambda r: (-r.times, r.sender, r.what)))
