"""Every command that the README shows runs as it is written there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_it_shows_the_two_commands_first() -> None:
    first = re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[0]
    assert [line.split("#")[0].split() for line in first.splitlines()] == [
        ["make", "demo"],
        ["make", "test"],
    ]


def test_it_is_a_door_and_no_manual() -> None:
    assert len(README.split()) < 1000


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_works_from_top_to_bottom(tmp_path: Path, session: Callable[..., str]) -> None:
    printed = session("README.md", skip=1)
    assert all(f"vehicle_0{n}" in printed for n in range(3))
    assert "PoFL recomputed for 2" in printed
    assert "all verified" in (tmp_path / "out" / "first" / "demo" / "report.html").read_text()
