"""Has Fast DDS, ROS' middleware, keep no more of a message on the fleet's bus than its type allows.

It puts messages together from pieces before anybody sees them, and ROS lets it take whatever memory
a message asks for, even where its type is bounded: the writer may be of another mind. The profiles
in `fast_dds.xml` give a reader's messages the room of its type, once and for all.
"""

from __future__ import annotations

import os
from pathlib import Path

PROFILES = Path(__file__).with_suffix(".xml")
USE_PROFILES = "RMW_FASTRTPS_USE_QOS_FROM_XML"
"""ROS' variable for a participant to be as the profiles say; the fleet's bus has it."""
_FILE = "FASTRTPS_DEFAULT_PROFILES_FILE"


def load_profiles() -> None:
    """Name the profiles to Fast DDS, which reads them with the first participant of a process.

    A file that the environment names already counts, and must have these profiles, too.
    """
    os.environ.setdefault(_FILE, str(PROFILES))
