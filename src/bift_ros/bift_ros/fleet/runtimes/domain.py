"""ROS domains that no other fleet on this host uses."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.private_files import (
    SharedFolderError,
    open_own_file,
    own_temporary_folder,
)

# Domains whose ports stay below Linux's ephemeral ones (ROS 2 documentation, "The ROS_DOMAIN_ID").
_DOMAINS = range(1, 102)


@contextmanager
def ros_environment() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Environment variables for a fleet whose two buses are its alone, and on this host only.

    Where ROS_DOMAIN_ID or BIFT_FLEET_DOMAIN_ID is set, it counts. Other domains are claimed while
    the context lasts, and until the last process has ended that inherits the descriptors that come
    with it. Raises FleetError.
    """
    environment = {
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "BIFT_FLEET_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    claims = []
    with ExitStack() as stack:
        for variable in ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID"):
            domain = os.environ.get(variable)
            if not domain:
                claimed, lock = stack.enter_context(claimed_domain())
                domain = str(claimed)
                claims.append(lock)
            environment[variable] = domain
        yield environment, tuple(claims)


@contextmanager
def claimed_domain() -> Iterator[tuple[int, int]]:
    """Claim an unused domain; the descriptor of its lock, which holds for whoever inherits it.

    Fleets that share a domain would hear each other's cameras, as their vehicles have the same
    names. A lock file keeps other fleets of Bift out, a look at the domain's first discovery
    port everybody else. Raises FleetError.
    """
    domain, lock = _claim()
    try:
        yield domain, lock
    finally:
        os.close(lock)


def _claim() -> tuple[int, int]:
    try:
        with own_temporary_folder(f"bift-domains-{os.geteuid()}") as folder:
            for domain in random.SystemRandom().sample(_DOMAINS, len(_DOMAINS)):
                lock = open_own_file(folder, str(domain))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is_silent(domain):
                        return domain, lock
                except BlockingIOError:
                    pass
                os.close(lock)
    except (SharedFolderError, OSError) as error:
        raise FleetError(f"no ROS domain can be claimed: {error}") from error
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
