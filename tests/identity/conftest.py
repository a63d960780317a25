"""Settings of this room's property tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("identity", deadline=None)  # a busy machine is no failure
settings.load_profile("identity")
