"""ROS parameter files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_parameters(path: Path, name: str, nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a ROS parameter file: the parameters of each node of the vehicle `name`."""
    document = {
        f"/{name}/{node}": {"ros__parameters": dict(parameters)}
        for node, parameters in nodes.items()
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
