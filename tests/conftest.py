from __future__ import annotations

import shutil

import pytest
from hypothesis import settings

# A deadline of an example's wall clock says how busy the machine is, not what the code does.
settings.register_profile("bift", deadline=None)
settings.load_profile("bift")


@pytest.fixture(scope="session")
def ipfs() -> str:
    """The Kubo program."""
    found = shutil.which("ipfs")
    if found is None:
        pytest.skip("no `ipfs` on the PATH: `make kubo` builds it where Go is")
    return found
