"""A ROS domain that no other fleet on this host uses."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.fleet.runtimes.runtime import FleetError

# Domains whose ports stay below Linux's ephemeral ones (ROS 2 documentation, "The ROS_DOMAIN_ID").
_DOMAINS = range(1, 102)


@contextmanager
def ros_environment() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Environment variables for a fleet that is alone on this host, unless ROS_DOMAIN_ID is set.

    Its domain is claimed while the context lasts, and until the last process has ended that
    inherits the descriptors that come with it. Raises FleetError.
    """
    local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}
    if os.environ.get("ROS_DOMAIN_ID"):
        yield {**local, "ROS_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"]}, ()
        return
    with claimed_domain() as (domain, lock):
        yield {**local, "ROS_DOMAIN_ID": str(domain)}, (lock,)


@contextmanager
def claimed_domain() -> Iterator[tuple[int, int]]:
    """Claim an unused domain; the descriptor of its lock, which holds for whoever inherits it.

    Fleets that share a domain would hear each other's cameras, as their vehicles have the same
    names. A lock file keeps other fleets of Bift out, a look at the domain's first discovery
    port everybody else. Raises FleetError.
    """
    folder = Path(tempfile.gettempdir()) / f"bift-domains-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for domain in random.SystemRandom().sample(_DOMAINS, len(_DOMAINS)):
        with (folder / str(domain)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _is_silent(domain):
                yield domain, lock.fileno()
                return
    raise FleetError(
        "every ROS domain from 1 to 101 is in use on this host: stop a fleet, or set ROS_DOMAIN_ID"
    )


def discovery_port(domain: int) -> int:
    """The UDP port on which a domain's first participant is met (RTPS 2.5, section 9.6.2.3)."""
    return 7400 + 250 * domain + 10


def _is_silent(domain: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", discovery_port(domain)))
        except OSError:
            return False
    return True
