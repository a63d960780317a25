"""The descriptions of the fleets that `bift demo` and `bift chaos` run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.perception.bag_info import bag_info

_REPLAY_SECONDS = 12.0


def describe(
    folder: FleetFolder, name: str, bags: Sequence[Path], settings: Mapping[str, Any]
) -> None:
    """Write the description of a fleet that replays these bags, in a few seconds each.

    `settings` are more of the file's keys. Raises BagError.
    """
    rate = max(1.0, bag_info(bags[0]).duration_s / _REPLAY_SECONDS)
    document = {
        "name": name,
        "vehicles": len(bags),
        "replay_rate": rate,
        **settings,
        "defaults": {"bag": [str(bag.resolve()) for bag in bags], **settings.get("defaults", {})},
    }
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.description.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
