"""Federated averaging (McMahan et al., AISTATS 2017): the sample-weighted mean. No defence.

Sample counts are claims that nobody can check, so a claim weighs at most MAX_SAMPLE_COUNT, and at
least 1: no transaction can make aggregation fail.

At most 2**12 updates (checked by `aggregate`) with weights of 2**20 are what `weighted_mean` takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from bift_ros.pofl.codec import Int32Array
from bift_ros.pofl.means import weighted_mean
from bift_ros.pofl.round import Round

MAX_SAMPLE_COUNT = 2**20


def weights_of(sample_counts: Sequence[int]) -> list[int]:
    """The weight each claimed sample count is given."""
    return [min(max(count, 1), MAX_SAMPLE_COUNT) for count in sample_counts]


def fedavg_notes(sample_counts: Sequence[int]) -> tuple[str, ...]:
    """What to say where a claimed sample count is out of bounds."""
    weights = weights_of(sample_counts)
    clamped = sum(c != w for c, w in zip(sample_counts, weights, strict=True))
    if not clamped:
        return ()
    return (f"fedavg: {clamped} sample count(s) clamped to 1..{MAX_SAMPLE_COUNT}",)


def fedavg(r: Round) -> Int32Array:
    """The global model int32[d] moved by the sample-weighted mean of the updates."""
    weights = weights_of(r.sample_counts)
    return weighted_mean(r, r.rows, weights, sum(weights))
