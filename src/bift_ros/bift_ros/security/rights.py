"""Who may say and hear what on which bus, in the names that DDS has for ROS' topics and services.

An enclave, SROS 2's word for the processes that share a certificate, may do what it does, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bift_ros.perception.replay_topics import CAMERA_TOPICS

ANY = "*"
"""Any text, in the name of a topic or service."""
_FLEET_TOPICS = ("bift/transactions", "bift/blocks", "bift/tips")
_CATCH_UP = ("get_headers", "get_blocks", "get_group_keys", "get_snapshot")
_OWNERS = ("get_state", "submit_transaction", "owner_job")
_SAID_TO_OBSERVERS = ("diagnostics", "bift/scene/*", "bift/monitor/*", "bift/camera_view")
_EVERY_NODES = ("parameter_events",)
"""What rclpy has every node publish, if only until the node takes it back. Nobody may hear it on
the fleet's bus."""
_GRAPH = "ros_discovery_info"
"""The topic by which rmw tells which node has which endpoint."""


@dataclass(frozen=True)
class Rights:
    """What may be done on a bus; the topics are those of DDS."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True)
class Enclave:
    """What the processes of one enclave may do."""

    path: str
    own: Rights
    """On the car's own bus."""
    fleet: Rights
    """On the fleet's."""


def vehicle_path(name: str) -> str:
    """The enclave of a vehicle."""
    return f"/vehicles/{name}"


def vehicle_enclave(name: str, topics: Iterable[str] = ()) -> Enclave:
    """That of a vehicle, which serves under its own name alone and calls whoever has joined.

    `topics` are its camera's and labels' where they have other names than by default; one without
    a slash before it is below the vehicle's namespace.
    """
    camera = _below(name, CAMERA_TOPICS)
    return Enclave(
        vehicle_path(name),
        own=_rights(
            says=(*_below(name, ("status", "training/progress")), *camera),
            hears=(*camera, *(_absolute(name, topic) for topic in topics)),
            serves=_below(name, _OWNERS),
        ),
        fleet=_rights(
            says=_FLEET_TOPICS,
            hears=_FLEET_TOPICS,
            serves=_below(name, _CATCH_UP),
            calls=_below(ANY, _CATCH_UP),
        ),
    )


def _rights(
    says: Sequence[str] = (),
    hears: Sequence[str] = (),
    serves: Sequence[str] = (),
    calls: Sequence[str] = (),
) -> Rights:
    """In DDS a service is a topic of requests and one of replies."""
    said = [f"rt/{name}" for name in (*says, *_EVERY_NODES)]
    heard = [f"rt/{name}" for name in hears]
    asked = [f"rq/{name}Request" for name in calls]
    answers = [f"rr/{name}Reply" for name in calls]
    taken = [f"rq/{name}Request" for name in serves]
    given = [f"rr/{name}Reply" for name in serves]
    return Rights((_GRAPH, *said, *asked, *given), (_GRAPH, *heard, *taken, *answers))


def _absolute(name: str, topic: str) -> str:
    return topic[1:] if topic.startswith("/") else f"{name}/{topic}"


def _below(name: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}/{each}" for each in names)


OBSERVER = Enclave(
    "/observer",
    own=_rights(
        says=_SAID_TO_OBSERVERS,
        hears=(ANY,),
        serves=("bift/monitor/*",),
        calls=_below(ANY, _OWNERS),
    ),
    fleet=_rights(hears=_FLEET_TOPICS, calls=_below(ANY, _CATCH_UP[:2])),
)
"""That of monitors, dashboards and the console: on the fleet's bus it only reads."""
