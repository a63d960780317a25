from __future__ import annotations

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)  # speed is never asserted
settings.load_profile("no-deadline")
