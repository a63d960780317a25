"""Vehicles at rest, which only say how they are: load for `./bift bench monitor`.

Run as `python -m bift_ros.benchmarks.status_load 30`. It prints a line once
somebody listens to all.
"""

from __future__ import annotations

import sys
import time

from bift_msgs.msg import (
    ChainStatus,
    DatasetStatus,
    ResourceStatus,
    TaskStatus,
    Tip,
    TrainingProgress,
    TrainingStatus,
    VehicleStatus,
)
from rclpy.publisher import Publisher

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.monitoring.status import REST_SECONDS
from bift_ros.nodes import qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.perception.classes import CLASSES

_TIP = "11" * 32
_CID = "bafkrei" + "a" * 52


class SimulatedVehicle:
    """Two DDS participants with a real vehicle's topics, at rest between two iterations."""

    def __init__(self, number: int) -> None:
        self._name, self._address = vehicle_name(number), f"{number:040x}"
        own, fleet = (BusNode(bus, "peer", self._name) for bus in Bus)
        self._tips = fleet.node.create_publisher(Tip, "/bift/tips", qos.TIPS)
        self._tips.publish(Tip(name=self._name, peer=self._address, hash=_TIP))
        self._node = own.node
        self._node.create_publisher(TrainingProgress, "training/progress", qos.PROGRESS)
        self._status: Publisher = self._node.create_publisher(VehicleStatus, "status", qos.STATUS)
        self._frames = 0

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens to its status."""
        return bool(self._status.get_subscription_count())

    def speak(self) -> None:
        """Say how it is; the camera goes on meanwhile."""
        self._frames += 30
        message = VehicleStatus(
            name=self._name,
            address=self._address,
            state="idle",
            chain=ChainStatus(tip=_TIP),
            task=TaskStatus(model_id="traffic-lights", global_cid=_CID),
            training=TrainingStatus(epoch=10, local_epochs=10, loss=0.1),
            dataset=DatasetStatus(
                frames_seen=self._frames, samples=300, class_samples=[30] * len(CLASSES)
            ),
            resources=ResourceStatus(disk_free_mb=100_000),
        )
        message.stamp = self._node.get_clock().now().to_msg()
        self._status.publish(message)


def main() -> None:
    """Speak in turns, until killed."""
    vehicles = [SimulatedVehicle(number) for number in range(int(sys.argv[1]))]
    told = False
    while True:
        for vehicle in vehicles:
            vehicle.speak()
            time.sleep(REST_SECONDS / len(vehicles))
        if not told and all(vehicle.is_heard for vehicle in vehicles):
            told = True
            print("heard", flush=True)


if __name__ == "__main__":
    main()
