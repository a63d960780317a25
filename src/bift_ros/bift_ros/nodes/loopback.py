"""Keeps the car's own bus on its computer.

`ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST` only says whom a participant of Fast DDS looks for: its
sockets listen on every interface, and whoever names the computer in `ROS_STATIC_PEERS` is let in.
So they are bound to the loopback device, which what the computer sends to itself goes through.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from bift_ros.nodes.buses import Bus

_LOOPBACK = b"lo"


@contextmanager
def staying_here() -> Iterator[None]:
    """Bind the sockets that a node on the own bus opens meanwhile to the loopback device.

    Nothing is done where the bus is to reach further. Raises OSError where the kernel refuses, and
    BusError.
    """
    if Bus.OWN.ros_variables(os.environ)["ROS_AUTOMATIC_DISCOVERY_RANGE"] != "LOCALHOST":
        yield
        return
    before = {_identity(one) for one in datagram_sockets()}
    yield
    for one in datagram_sockets():
        if _identity(one) not in before:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _LOOPBACK)


def datagram_sockets() -> Iterator[socket.socket]:
    """This process's UDP sockets over IPv4, each by a descriptor of its own for the moment."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            one = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # closed meanwhile
            continue
        with one:
            if one.family == socket.AF_INET and one.type == socket.SOCK_DGRAM:
                yield one


def _identity(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino
