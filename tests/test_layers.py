"""Which room of the package may import what (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "bift_ros" / "bift_ros"

# Ground floor first: a room imports only rooms that stand before it in this list.
FLOORS = [
    "limits",
    "identity",
    "storage",
    "pofl",
    "consensus",
    "chain",
    "perception",
    "security",
    "synthesis",
    "learning",
    "attacks",
    "admission",
    "peer",
    "simulation",
    "history",
    "monitoring",
    "dashboard",
    "nodes",
    "fleet",
    "reports",
    "experiments",
    "benchmarks",
    "console",
]
# What others can take as it is: these import no other room, and storage only what limits it.
SELF_CONTAINED: dict[str, set[str]] = {"limits": set(), "identity": set(), "storage": {"limits"}}
# Groups of nodes, and which others each may import; what several share lies above them in nodes/.
GROUPS = {"bag": set(), "observer": set(), "client": {"observer"}, "vehicle": {"bag"}}
ROS_ROOMS = {"nodes", "benchmarks"}
TORCH_ROOMS = {"learning", "experiments", "benchmarks"}
PEER_ROOMS = {"benchmarks"}
PEER_MODULES = {"byzfl", "flwr"}
"""Libraries that are there to be compared with."""
ROS_MODULES = {
    "rclpy", "bift_msgs", "sensor_msgs", "std_msgs", "builtin_interfaces", "diagnostic_msgs",
    "geometry_msgs", "nav_msgs", "visualization_msgs", "launch", "launch_ros",
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


@cache
def dependencies() -> dict[str, set[str]]:
    """Every module of the package, and which others it imports, also inside functions."""
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    return {name: modules_of(path) & (names.keys() - {name}) for name, path in names.items()}


def modules_of(path: Path) -> set[str]:
    """What a file may import as a module: `from a import b` may mean `a`, or `a.b`."""
    found = {name for _, name in imports_of(path)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def in_circles(graph: Mapping[str, set[str]]) -> set[str]:
    """The modules from which a way of imports leads back to themselves, or to others that do."""
    left = dict(graph)
    while ends := {name for name in left if not left[name] & left.keys()}:
        left = {name: left[name] for name in left.keys() - ends}
    return set(left)


def violations(path: Path, room: str) -> list[str]:
    """What a file of a room imports though the room may not."""
    found = []
    for line, module in imports_of(path):
        top, _, rest = module.partition(".")
        other = rest.split(".")[0]
        if top == "bift_ros" and other in FLOORS:
            if FLOORS.index(other) > FLOORS.index(room):
                found.append(f"{path}:{line}: {room}/ imports {other}/, which stands above it")
            elif other != room and other not in SELF_CONTAINED.get(room, {other}):
                found.append(f"{path}:{line}: {room}/ imports {other}/, but stands by itself")
        if top in ROS_MODULES and room not in ROS_ROOMS:
            found.append(f"{path}:{line}: {room}/ imports ROS ({module})")
        if top in {"torch", "torchvision"} and room not in TORCH_ROOMS:
            found.append(f"{path}:{line}: {room}/ imports {module}")
        if top in PEER_MODULES and room not in PEER_ROOMS:
            found.append(f"{path}:{line}: {room}/ imports the peer library {module}")
    return found


def test_every_folder_is_a_known_room() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms <= set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_room_imports_only_what_stands_below(room: str) -> None:
    files = sorted((PACKAGE / room).rglob("*.py"))
    assert [v for path in files for v in violations(path, room)] == []


def test_no_imports_lead_in_a_circle() -> None:
    assert in_circles(dependencies()) == set()


def test_a_circle_is_found() -> None:
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"e"}, "e": set()}) == {
        "a", "b", "c",
    }  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_nodes_imports_no_other_but_those_it_may(group: str) -> None:
    start = f"bift_ros.nodes.{group}."
    imported = {
        other.split(".")[2]
        for name, others in dependencies().items()
        if name.startswith(start)
        for other in others
        if other.startswith("bift_ros.nodes.") and other.count(".") > 2
    }
    assert imported - {group} <= GROUPS[group]


def test_what_the_groups_share_imports_none_of_them() -> None:
    groups = {p.name for p in (PACKAGE / "nodes").iterdir() if p.is_dir()} - {"__pycache__"}
    assert groups == GROUPS.keys()
    for name, others in dependencies().items():
        if name.startswith("bift_ros.nodes.") and name.count(".") == 2:
            assert not {o for o in others if o.startswith("bift_ros.nodes.") and o.count(".") > 2}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("chain", "from bift_ros.peer import machine"),
        ("pofl", "import torch"),
        ("peer", "def f():\n    import rclpy"),
        ("console", "from flwr.server import strategy"),
        ("identity", "from bift_ros import chain"),
        ("storage", "from bift_ros.identity import vehicle_names"),
        ("perception", "from bift_ros.synthesis import scene"),
    ],
)
def test_a_broken_import_is_found(tmp_path: Path, room: str, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert len(violations(path, room)) == 1


def test_the_architecture_page_lists_the_rooms_in_this_order() -> None:
    page = (PACKAGE.parents[2] / "docs" / "architecture.md").read_text()
    rooms = page[page.index("## The rooms") : page.index("## Around it")]
    assert re.findall(r"^\| `(\w+)/` \|", rooms, re.MULTILINE) == FLOORS
