from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def ipfs() -> str:
    """The Kubo program."""
    found = shutil.which("ipfs")
    if found is None:
        pytest.skip("no `ipfs` on the PATH: `make kubo` builds it where Go is")
    return found
