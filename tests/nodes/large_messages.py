"""A stranger who publishes blocks of any size, and a victim who tells what it is handed.

python large_messages.py publish SIZE COUNT | listen | listen_unbounded
"""

from __future__ import annotations

import ctypes
import sys
import time
from contextlib import nullcontext

import psutil
import rclpy
from bift_msgs import msg

from bift_ros.nodes import qos
from bift_ros.nodes.vehicle.dds_profiles import bounded_messages

_TYPE_SUPPORT = "rosidl_typesupport_fastrtps_c"
_MAX_SERIALIZED_SIZE = 5
"""Its place in `message_type_support_callbacks_t`."""
_SMALL = 100


@ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_char))
def _unbounded(bounds: ctypes.Array[ctypes.c_char]) -> int:
    bounds[0] = 0
    return 0


def forget_bounds() -> None:
    """Make the type an unbounded one of the same name, as any stranger's own build may have it."""
    library = ctypes.CDLL(f"libbift_msgs__{_TYPE_SUPPORT}.so")
    get = library[f"{_TYPE_SUPPORT}__get_message_type_support_handle__bift_msgs__msg__Block"]
    get.restype = ctypes.POINTER(ctypes.c_void_p)
    callbacks = ctypes.cast(get()[1], ctypes.POINTER(ctypes.c_void_p))
    callbacks[_MAX_SERIALIZED_SIZE] = ctypes.cast(_unbounded, ctypes.c_void_p).value


def publish(size: int, count: int) -> None:
    forget_bounds()
    node = rclpy.create_node("stranger")
    blocks = node.create_publisher(msg.Block, "/bift/blocks", qos.BLOCKS)
    while not blocks.get_subscription_count():
        time.sleep(0.1)
    for _ in range(count):
        blocks.publish(b"\0\1\0\0" + bytes(size))
    blocks.publish(b"\0\1\0\0" + bytes(_SMALL))
    while sys.stdin.read(1):
        pass  # until the victim has heard it


def listen() -> None:
    """Print the size of each message up to the small one, and what memory they took in MiB."""
    node = rclpy.create_node("victim")
    sizes: list[int] = []
    node.create_subscription(
        msg.Block, "/bift/blocks", lambda data: sizes.append(len(data)), qos.BLOCKS_READER, raw=True
    )
    before = psutil.Process().memory_info().rss
    while not sizes or sizes[-1] > 2 * _SMALL:
        rclpy.spin_once(node, timeout_sec=0.1)
    print(len(sizes), (psutil.Process().memory_info().rss - before) >> 20)


if __name__ == "__main__":
    role, *numbers = sys.argv[1:]
    with bounded_messages() if role == "listen" else nullcontext():
        rclpy.init()
        if role == "publish":
            publish(*map(int, numbers))
        else:
            listen()
