"""The tour of docs/guide.md, from bags to a fleet by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_guide_works_from_top_to_bottom(tmp_path: Path, session: Callable[..., str]) -> None:
    printed = session("docs/guide.md")
    assert "valid: 5 blocks, PoFL recomputed for 2" in printed
    assert all(f"vehicle_0{n}" in printed for n in range(3))
    assert "the old town" in printed
    copies = [(tmp_path / "out" / "tour" / name).read_bytes() for name in ("tile.pbf", "copy.pbf")]
    assert copies[0] == copies[1]
