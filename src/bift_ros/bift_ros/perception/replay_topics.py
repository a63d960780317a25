"""Which of a bag's topics are a vehicle's camera and map, whatever vehicle it was recorded on."""

from __future__ import annotations

from pathlib import Path

from bift_ros.perception.bags import Bag, BagError

CAMERA_TOPICS = ("camera/image_raw", "camera/image_raw/compressed", "traffic_lights")


def relative_topic(topic: str) -> str | None:
    """What a vehicle calls this topic of a bag within its namespace; None for any other topic.

    A bag's topics are matched by how they end.
    """
    return next((name for name in CAMERA_TOPICS if f"/{topic}".endswith(f"/{name}")), None)


def remappings(bag: Path, vehicle: str) -> dict[str, str]:
    """For `ros2 bag play`: each of the bag's camera topics and its name in a vehicle's namespace.

    Raises BagError where the bag can't be read or has none.
    """
    with Bag(bag) as opened:
        names = {topic: relative_topic(topic) for topic in opened.topics}
    found = {topic: f"/{vehicle}/{name}" for topic, name in names.items() if name is not None}
    if not found:
        raise BagError(f"{bag} has no camera or traffic light topics, only {', '.join(names)}")
    return found
