from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for this room's `views`

settings.register_profile("no-deadline", deadline=None)  # speed is never asserted
settings.load_profile("no-deadline")
