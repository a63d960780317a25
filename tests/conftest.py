from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

# A deadline of an example's wall clock says how busy the machine is, not what the code does.
settings.register_profile("desk", deadline=None)
# CI tries the same examples every time; `make test-long` looks for others.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

_OFTEN_LONG = ("kubo", "browser", "ros")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that may take long, so that no worker is left with one at the end.

    How long is told by the time limits of their slow tests.
    """
    usual = float(config.getini("timeout"))

    def weight(item: pytest.Item) -> float:
        if item.get_closest_marker("slow"):
            limit = item.get_closest_marker("timeout")
            return float(limit.args[0]) if limit else usual
        return float(any(item.get_closest_marker(name) for name in _OFTEN_LONG))

    files: Counter[Path] = Counter()
    for item in items:
        files[item.path] += weight(item)
    items.sort(key=lambda item: -files[item.path])


@pytest.fixture(scope="session")
def ipfs() -> str:
    """The Kubo program."""
    found = shutil.which("ipfs")
    if found is None:
        pytest.skip("no `ipfs` on the PATH: `make kubo` builds it where Go is")
    return found
