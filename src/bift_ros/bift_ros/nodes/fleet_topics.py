"""The topics on which a fleet speaks: heard by observers, kept by recorders, played by players."""

from __future__ import annotations

from typing import NamedTuple

from bift_msgs import msg
from rclpy.qos import QoSProfile

from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.nodes import qos

TIPS, BLOCKS, TRANSACTIONS = "/bift/tips", "/bift/blocks", "/bift/transactions"
STATUS, PROGRESS = "status", "training/progress"
"""Below each vehicle's namespace."""


class Kind(NamedTuple):
    """What goes over a topic."""

    type: type
    profile: QoSProfile
    """As one publisher in place of all vehicles offers it: enough of each is latched."""

    @property
    def type_name(self) -> str:
        """As bags have it, such as `bift_msgs/msg/Tip`."""
        return f"bift_msgs/msg/{self.type.__name__}"


_FLEET = {
    TIPS: Kind(msg.Tip, qos.FLEET_READER),
    BLOCKS: Kind(msg.Block, qos.FLEET_READER),
    TRANSACTIONS: Kind(msg.Transaction, qos.FLEET_READER),
}
_VEHICLE = {
    STATUS: Kind(msg.VehicleStatus, qos.STATUS),
    PROGRESS: Kind(msg.TrainingProgress, qos.PROGRESS),
}


def vehicle_topic(vehicle: str, name: str) -> str:
    """The topic of a vehicle that it calls `name`."""
    return f"/{vehicle}/{name}"


def is_of_the_fleet(topic: str) -> bool:
    """Whether vehicles say it on the fleet's bus; what else there is, each says on its own."""
    return topic in _FLEET


def kind_of(topic: str) -> Kind | None:
    """What goes over a topic; None where it is none of a fleet's."""
    vehicle, _, name = topic.lstrip("/").partition("/")
    return _FLEET.get(topic) or (_VEHICLE.get(name) if is_vehicle_name(vehicle) else None)
