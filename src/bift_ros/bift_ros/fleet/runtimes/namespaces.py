"""Network namespaces of Linux, kept open as file descriptors and without a name.

A namespace without a name goes, with every link in it, once its last process and descriptor are
gone: even a killed run leaves nothing behind, and two runs can't meet.
"""

from __future__ import annotations

import ctypes
import os
import threading

_CLONE_NEWNET = 0x40000000
_THIS_THREAD = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def new_namespace() -> int:
    """Make a network namespace; a descriptor that keeps it. Raises OSError, EPERM without right."""
    made: list[int | OSError] = []

    def make() -> None:
        # A namespace belongs to a thread: this one's end leaves the others where they are.
        try:
            _check(_libc.unshare(_CLONE_NEWNET))
            made.append(os.open(_THIS_THREAD, os.O_RDONLY))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    (result,) = made
    if isinstance(result, OSError):
        raise result
    return result


def enter_namespace(namespace: int) -> None:
    """Move this thread into a namespace; threads and processes that it starts will be there."""
    _check(_libc.setns(namespace, _CLONE_NEWNET))


def _check(status: int) -> None:
    if status != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
