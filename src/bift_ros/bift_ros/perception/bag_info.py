"""What a bag holds, and whether a vehicle can learn from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bift_ros.perception.bags import Bag, BagError
from bift_ros.perception.classes import CLASS_INDEX
from bift_ros.perception.messages import LIGHTS, MessageError, parse_lights


@dataclass(frozen=True)
class BagInfo:
    """What `bift bag info` prints of a bag."""

    path: str
    recovered: bool  # half-written: only what was readable is counted
    duration_s: float
    start_ns: int
    messages: dict[str, tuple[str, int]]  # topic → type, count
    labels: dict[str, int]  # class → count
    unknown_classes: dict[str, int]
    problems: tuple[str, ...]  # why a vehicle could not learn from it


def bag_info(path: Path) -> BagInfo:
    """Count a bag's messages and labels; raises BagError where there is nothing to read."""
    with Bag(path) as bag:
        problems = []
        try:
            bag.vehicle_topics()
        except BagError as error:
            problems.append(str(error))
        known: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        damaged: list[str] = []
        for message in bag.messages():
            if message.type != LIGHTS:
                continue
            try:
                labels = parse_lights(message.data)[1]
            except MessageError as error:
                damaged.append(f"{message.topic}: {error}")
                continue
            for label in labels:
                (known if label.signal_class in CLASS_INDEX else unknown)[label.signal_class] += 1
        if unknown:
            names = ", ".join(sorted(unknown))
            problems.append(f"labels of unknown classes, which vehicles skip: {names}")
        if damaged:
            problems.append(f"{len(damaged)} unreadable messages, the first in {damaged[0]}")
        start, end = bag.span_ns
        return BagInfo(
            str(path), bag.recovered, (end - start) / 1e9, start, bag.topics,
            {name: known[name] for name in CLASS_INDEX if known[name]}, dict(unknown),
            tuple(problems),
        )  # fmt: skip
