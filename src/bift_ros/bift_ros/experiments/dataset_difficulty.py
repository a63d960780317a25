"""Experiment: the synthetic crops are hard, not hopeless (`./bift experiment dataset-difficulty`).

Claim: plain FedAvg with 15,000 crops ends between 90% and 97%, not 100%.

One federation in float32, no attack. It has ended where its curve is flat: the last WINDOW
iterations are on average no more than FLAT points off the WINDOW before. What is compared with
the bounds is the last WINDOW's mean. The run is the `float32` arm of `fixed-point`'s first seed
and shares its file.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

BOUNDS = (90.0, 97.0)  # percent
WINDOW = 5  # iterations
FLAT = 0.3  # points


def summarize(accuracy: Sequence[float]) -> dict[str, Any]:
    """The curve, its end, and how far the end is off the WINDOW before (None: too short)."""
    end = statistics.fmean(accuracy[-WINDOW:])
    before = accuracy[-2 * WINDOW : -WINDOW]
    rise = end - statistics.fmean(before) if len(before) == WINDOW else None
    return {
        "accuracy": list(accuracy),
        "end": end,
        "rise": rise,
        "flat": rise is not None and abs(rise) <= FLAT,
        "within_bounds": BOUNDS[0] <= end <= BOUNDS[1],
    }


def as_text(report: dict[str, Any]) -> str:
    """The curve in rows of ten iterations and one sentence."""
    accuracy = report["accuracy"]
    rows = [
        f"{first + 1:4}: " + " ".join(f"{value:6.2f}" for value in accuracy[first : first + 10])
        for first in range(0, len(accuracy), 10)
    ]
    low, high = BOUNDS
    where = "inside" if report["within_bounds"] else "NOT inside"
    rise = report["rise"]
    shape = (
        "too short a curve to say that it is flat"
        if rise is None
        else f"{rise:+.2f} points from the {WINDOW} before: {'' if report['flat'] else 'NOT '}flat"
    )
    rows.append(
        f"the last {WINDOW} iterations' mean is {report['end']:.2f} %, {where} {low:g} to "
        f"{high:g} %; {shape}"
    )
    return "\n".join(rows)
