"""docs/kubo.md: its commands run, and it names the releases that were tested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bift_ros.storage.kubo.api import VERSIONS
from bift_ros.storage.kubo.daemon import KuboDaemon

REPOSITORY = Path(__file__).parents[2]


def test_it_names_the_range_that_was_tested() -> None:
    oldest, newest = (f"{major}.{minor}" for major, minor in VERSIONS)
    guide = (REPOSITORY / "docs" / "kubo.md").read_text()
    assert f"tested with Kubo {oldest} to {newest}" in guide
    assert f"\nv{newest}." in (REPOSITORY / "requirements" / "kubo.txt").read_text()


@pytest.mark.kubo
def test_it_works_from_top_to_bottom(
    tmp_path: Path, ipfs: str, session: Callable[..., str]
) -> None:
    try:
        printed = session("docs/kubo.md")
    finally:
        for repository in tmp_path.glob("out/kubo/*/kubo"):
            KuboDaemon(repository).stop()
    assert printed.count("running:       yes") == 3
