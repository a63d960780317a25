from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peer")]  # this room's modules, and `consortium`

settings.register_profile("no-deadline", deadline=None)  # speed is never asserted
settings.load_profile("no-deadline")
