"""A vehicle's own process must run where torch is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bift_ros

ROOMS = (
    "identity", "pofl", "storage", "chain", "perception", "attacks", "peer", "simulation",
    "monitoring",
)  # fmt: skip


def test_the_vehicles_side_imports_without_torch() -> None:
    package = Path(bift_ros.__path__[0])
    modules = ["bift_ros.learning.client", "bift_ros.learning.jobs", "bift_ros.learning.errors"]
    for room in ROOMS:
        for file in sorted((package / room).rglob("*.py")):
            if file.stem != "__main__":
                parts = file.relative_to(package.parent).with_suffix("").parts
                modules.append(".".join(part for part in parts if part != "__init__"))
    program = (
        "import importlib, sys\n"
        "sys.modules['torch'] = sys.modules['torchvision'] = None\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
