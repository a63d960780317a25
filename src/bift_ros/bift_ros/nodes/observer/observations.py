"""A fleet's messages as what an observer keeps of them: checked in form, bounded in size.

Nothing is authenticated, since an observer has no genesis. But a block is what its hash says:
header and body fit the hash, or it is refused.
"""

from __future__ import annotations

from bift_msgs import msg

from bift_ros.consensus.exceptions import FieldError
from bift_ros.consensus.fields import NAME, check_integer, check_text
from bift_ros.consensus.payloads import MAX_ITERATIONS
from bift_ros.history.blocks import BlockSummary, summary_of
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.view import ObservedTip
from bift_ros.nodes import convert
from bift_ros.nodes.status_message import MAX_TEXT, status_from_message


def observed_block(message: msg.Block) -> BlockSummary:
    """A block, named by the hash of its own header. Raises InvalidBlock."""
    return summary_of(convert.block_from_message(message))


def observed_tip(message: msg.Tip) -> ObservedTip:
    """Where a vehicle stands. Raises EncodingError or FieldError."""
    if not is_vehicle_name(message.name) or len(message.name) > MAX_TEXT:
        raise FieldError(f"name: {message.name[:80]!r} is no vehicle's name")
    tip = convert.tip_from_message(message)
    return ObservedTip(message.name, tip.sender, tip.height, tip.hash.hex())


def observed_status(message: msg.VehicleStatus, topic_of: str) -> VehicleStatus:
    """What the vehicle on whose topic it came says of itself. Raises FieldError."""
    if message.name != topic_of:
        raise FieldError(f"name: {message.name[:80]!r} speaks on the topic of {topic_of}")
    return status_from_message(message)


def check_progress(message: msg.TrainingProgress) -> None:
    """Refuse a training's epoch that is out of bounds; raises FieldError."""
    check_text("model_id", message.model_id, NAME)
    check_integer("iteration", message.iteration, 1, MAX_ITERATIONS)
