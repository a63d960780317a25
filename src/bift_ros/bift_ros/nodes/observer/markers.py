"""Shapes as messages that RViz draws."""

from __future__ import annotations

import math
from typing import Any

from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from bift_ros.monitoring.scene import Changes, Shape

_TYPES = {"cube": Marker.CUBE, "text": Marker.TEXT_VIEW_FACING, "lines": Marker.LINE_LIST}


def marker_array(changes: Changes, frame: str, stamp: Time) -> MarkerArray:
    """The changes as one message. RViz goes through it in order."""
    header = Header(frame_id=frame, stamp=stamp)
    first = [Marker(header=header, action=Marker.DELETEALL)] if changes.anew else []
    gone = [
        Marker(header=header, action=Marker.DELETE, ns=key.namespace, id=key.number)
        for key in changes.gone
    ]
    return MarkerArray(markers=first + gone + [_marker(s, header) for s in changes.drawn])


def _marker(shape: Shape, header: Header) -> Marker:
    nanoseconds = round(shape.lifetime * 1e9)
    return Marker(
        header=header,
        ns=shape.key.namespace,
        id=shape.key.number,
        type=_TYPES[shape.kind],
        action=Marker.ADD,
        pose=Pose(
            position=_point(shape.position),
            orientation=Quaternion(z=math.sin(shape.yaw / 2), w=math.cos(shape.yaw / 2)),
        ),
        scale=Vector3(x=shape.size.x, y=shape.size.y, z=shape.size.z),
        color=_colour(shape),
        lifetime=Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9),
        points=[_point(point) for point in shape.points],
        text=shape.text,
    )


def _point(point: Any) -> Point:
    return Point(x=point.x, y=point.y, z=point.z)


def _colour(shape: Shape) -> ColorRGBA:
    red, green, blue, alpha = shape.colour
    return ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=alpha)
