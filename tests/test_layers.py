"""Which room of the package may import what (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "bift_ros" / "bift_ros"

# Ground floor first: a room imports only rooms that stand before it in this list.
FLOORS = [
    "identity",
    "storage",
    "pofl",
    "consensus",
    "chain",
    "perception",
    "synthesis",
    "learning",
    "attacks",
    "peer",
    "simulation",
    "history",
    "monitoring",
    "dashboard",
    "nodes",
    "fleet",
    "reports",
    "experiments",
    "console",
]
# What others can take as it is: these import no other room, nor each other.
SELF_CONTAINED = {"identity", "storage"}
ROS_ROOMS = {"nodes"}
TORCH_ROOMS = {"learning", "experiments"}
ROS_MODULES = {
    "rclpy", "bift_msgs", "sensor_msgs", "std_msgs", "builtin_interfaces", "diagnostic_msgs",
    "action_msgs", "geometry_msgs", "nav_msgs", "visualization_msgs", "launch", "launch_ros",
    "ament_index_python",
}  # fmt: skip


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every absolute module name that a file imports, also inside functions, with its line."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write absolute imports"
            assert node.module is not None
            if node.module == "bift_ros":
                for alias in node.names:
                    yield node.lineno, f"bift_ros.{alias.name}"
            else:
                yield node.lineno, node.module


def violations(path: Path, room: str) -> list[str]:
    """What a file of a room imports though the room may not."""
    found = []
    for line, module in imports_of(path):
        top, _, rest = module.partition(".")
        other = rest.split(".")[0]
        if top == "bift_ros" and other in FLOORS:
            if FLOORS.index(other) > FLOORS.index(room):
                found.append(f"{path}:{line}: {room}/ imports {other}/, which stands above it")
            elif other != room and room in SELF_CONTAINED:
                found.append(f"{path}:{line}: {room}/ imports {other}/, but no room at all")
        if top in ROS_MODULES and room not in ROS_ROOMS:
            found.append(f"{path}:{line}: {room}/ imports ROS ({module})")
        if top in {"torch", "torchvision"} and room not in TORCH_ROOMS:
            found.append(f"{path}:{line}: {room}/ imports {module}")
    return found


def test_every_folder_is_a_known_room() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_room_imports_only_what_stands_below(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert [v for path in files for v in violations(path, room)] == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("chain", "from bift_ros.peer import machine"),
        ("pofl", "import torch"),
        ("peer", "def f():\n    import rclpy"),
        ("identity", "from bift_ros import chain"),
        ("storage", "from bift_ros.identity import vehicle_names"),
        ("perception", "from bift_ros.synthesis import scene"),
    ],
)
def test_a_broken_import_is_found(tmp_path: Path, room: str, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert len(violations(path, room)) == 1
