"""Quality of service of every topic."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _latched(depth: int) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


# Deep enough that a burst of a whole fleet's round fits, and that a vehicle that joins late
# sees what is pending; older things come through catch-up.
TRANSACTIONS = _latched(64)
BLOCKS = _latched(16)
TIPS = _latched(1)
STATUS = _latched(1)
# One reader hears the whole fleet, and its history is shared by all writers: with the writers'
# depth of 1 it would keep one vehicle's tip and drop the others that came at the same moment.
FLEET_READER = _latched(1024)
# A vehicle reads at once, and gets by itself what it missed. Each place takes as much memory as
# the largest message of the type: 50 kB and 100 kB, so 13 MB each.
TRANSACTIONS_READER = _latched(256)
BLOCKS_READER = _latched(128)
# The same for those to whom only what is said from now on matters.
LIVE_READER = QoSProfile(depth=1024, reliability=ReliabilityPolicy.RELIABLE)
PROGRESS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)

# As a camera driver publishes; reliable subscribers would refuse a best-effort camera. Deep
# enough for the second or two in which a block's check may hold up the executor.
CAMERA = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
# A replayed camera waits for nobody, but loses nothing on one host either.
REPLAY = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)

# Markers come so often that a lost message is soon made up for, but RViz asks for reliable ones.
SCENE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
CAMERA_VIEW = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Of a vehicle's pose only the newest is of use.
POSE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
