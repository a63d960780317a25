"""PoFL's pure function: from one iteration's updates to the next global model and the contributors.

Every member runs it on every block and must get the same bytes. So it takes integers and gives
integers, sorts what it is given, and reads no clock, file or random source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bift_ros.pofl.codec import MODEL_EXPONENT, UPDATE_EXPONENT, Int16Array, Int32Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.fixed_point import MAX_SHIFT
from bift_ros.pofl.mixed import MIXED_RULES
from bift_ros.pofl.round import Round
from bift_ros.pofl.rules import MODEL_RULES

RULES: tuple[str, ...] = (*MODEL_RULES, *MIXED_RULES)
"""Every rule that a task or a genesis file may name."""

MAX_UPDATES = 2**12
"""More updates than this in one iteration are refused: sums must stay exact."""

MAX_VALUES = 2**31
"""Updates times parameters must stay under this, for the same reason (4 GiB of updates)."""


class AggregationError(ValueError):
    """The inputs are no iteration's updates: the caller let through what it should refuse."""


@dataclass(frozen=True)
class Update:
    """One member's update, fetched and parsed."""

    cid: str
    """Its file's CID."""
    address: str
    """Its sender's address."""
    sample_count: int
    """How many samples the sender says it trained on."""
    values: Int16Array
    """int16[d]: local − global, at the task's update scale."""


@dataclass(frozen=True)
class Aggregation:
    """What a block with the model flag must carry."""

    model: Int32Array
    """The new global model, int32[d]."""
    rule: str
    """The rule that made it; under a mixed rule, the one drawn."""
    contributors: tuple[str, ...]
    """The CIDs of the updates that are rewarded: under `robust` those in the model, under any other
    rule the multi-Krum selection of size n − f (at least one); sorted. Where members submitted one
    and the same CID, it stands here once for each copy selected, and copies are taken in the order
    of their senders' addresses."""
    notes: tuple[str, ...]
    """Where the round fell short of what the rule's paper asks for, in words."""


def aggregate(
    global_model: Int32Array,
    updates: Sequence[Update],
    *,
    rule: str,
    byzantine: int,
    seed: bytes,
    iteration: int,
    update_exponent: int = UPDATE_EXPONENT,
    model_exponent: int = MODEL_EXPONENT,
    blocking: Blocking | None = None,
) -> Aggregation:
    """Aggregate one iteration.

    ``global_model`` is int32[d] at ``2**-model_exponent``; ``byzantine`` is f, the number of
    updates assumed hostile; ``seed`` and ``iteration`` only matter to the mixed rules. The order of
    ``updates`` and ``blocking`` change nothing in the result.

    Any n ≥ 1 gives a model: where a rule's paper asks for more updates, it does what its module
    states, and `Aggregation.notes` says so.

    Raises AggregationError for an unknown rule, no updates, two by one sender, or an array of the
    wrong type or length.
    """
    _check(global_model, updates, rule, byzantine, model_exponent - update_exponent)
    ordered = sorted(updates, key=lambda update: (update.cid, update.address))
    if rule in MIXED_RULES:
        cids = [update.cid for update in ordered]
        rule = MIXED_RULES[rule](seed, cids, iteration)
    made_by = MODEL_RULES[rule]
    round_ = Round(
        global_model=global_model,
        rows=[update.values for update in ordered],
        sample_counts=[update.sample_count for update in ordered],
        byzantine=byzantine,
        shift=model_exponent - update_exponent,
        blocking=blocking or Blocking(),
    )
    return Aggregation(
        model=made_by.model(round_),
        rule=made_by.name,
        contributors=tuple(ordered[i].cid for i in made_by.contributors(round_)),
        notes=made_by.notes(round_),
    )


def _check(
    global_model: Int32Array, updates: Sequence[Update], rule: str, byzantine: int, shift: int
) -> None:
    if rule not in RULES:
        raise AggregationError(f"unknown rule {rule!r}: choose one of {', '.join(RULES)}")
    if byzantine < 0:
        raise AggregationError(f"the assumed number of Byzantine updates is {byzantine}, under 0")
    if not 0 <= shift <= MAX_SHIFT:
        raise AggregationError(
            f"the model's exponent must be 0 to {MAX_SHIFT} above the updates', not {shift}"
        )
    if global_model.dtype != np.int32 or global_model.ndim != 1 or not global_model.size:
        raise AggregationError(
            f"the global model is {global_model.dtype}{list(global_model.shape)}, not int32[d]"
        )
    if not updates:
        raise AggregationError("no updates to aggregate")
    if len(updates) > MAX_UPDATES or len(updates) * global_model.size >= MAX_VALUES:
        raise AggregationError(f"{len(updates)} updates of {global_model.size} are too many")
    senders = set()
    for update in updates:
        if update.address in senders:
            raise AggregationError(f"two updates by member {update.address}")
        senders.add(update.address)
        if update.values.dtype != np.int16 or update.values.shape != global_model.shape:
            raise AggregationError(
                f"update {update.cid} by {update.address} is "
                f"{update.values.dtype}{list(update.values.shape)}, not int16[{global_model.size}]"
            )
