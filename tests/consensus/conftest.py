from __future__ import annotations

import pytest
from hypothesis import settings

from world.consortium import Consortium

settings.register_profile("consensus", deadline=None)  # a busy machine is no failure
settings.load_profile("consensus")


@pytest.fixture(scope="session")
def fleet() -> Consortium:
    return Consortium()


@pytest.fixture(scope="session")
def make_fleet() -> type[Consortium]:
    return Consortium
