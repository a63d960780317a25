"""docs/console.md: one session with every command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bift_ros.console.main import COMMANDS

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_consoles_reference_works_from_top_to_bottom(
    tmp_path: Path, session: Callable[..., str]
) -> None:
    printed = session("docs/console.md", XDG_DATA_HOME=str(tmp_path / "data"))
    assert "valid: " in printed
    assert "car mines no more" in printed
    assert "bus mines" in printed
    assert "gives 5 to bus" in printed
    watched = (tmp_path / "out" / "console" / "watch.jsonl").read_text()
    assert watched.count('"name": "van"') == 3
    names = {path.name for path in (tmp_path / "out" / "console").iterdir()}
    assert {"chain.json", "chain.csv", "chain.dot", "_bift"} <= names


def test_it_names_every_command() -> None:
    reference = (REPOSITORY / "docs" / "console.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in reference] == []
