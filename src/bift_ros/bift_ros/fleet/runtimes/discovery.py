"""A Fast DDS discovery server, through which a fleet's vehicles find each other.

Without one every vehicle announces itself and all of its endpoints to every other one. The server
tells each vehicle only of endpoints whose topics it has too; data still go from one to the other
directly. See "Discovery Server" in the documentation of Fast DDS, whose program this runs.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from bift_ros.fleet.runtimes.runtime import FleetError

PORT = 11811
"""The UDP port of a server that has an address of its own; Fast DDS' default."""
SUPER_CLIENT = {"BIFT_FLEET_SUPER_CLIENT": "TRUE"}
"""What makes the server tell a process of everybody's endpoints, for one that looks for topics."""
_PROGRAM = "fast-discovery-server"
_READY = "Server is running"
_START_SECONDS = 30.0


def server_command(address: str, port: int) -> tuple[str, ...]:
    """The command line of a server that listens there."""
    place = ("--udp-address", address, "--udp-port", str(port))
    return (_PROGRAM, "--server-id", "0", *place)


def client_environment(address: str, port: int) -> dict[str, str]:
    """What makes a process ask that server instead of everybody on the fleet's bus."""
    return {"BIFT_FLEET_DISCOVERY_SERVER": f"{address}:{port}"}


def refuse_without_program() -> None:
    """Raise FleetError where a server can't be a process of this host."""
    if shutil.which(_PROGRAM) is None:
        raise FleetError(
            f"there is no `{_PROGRAM}` here, which `discovery: server` needs: install Fast DDS' "
            "tools (ros-jazzy-fastrtps), or take discovery: multicast"
        )


def free_port() -> int:
    """A UDP port of this host's loopback that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_server(server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server that writes into `log` listens. Raises FleetError where it doesn't."""
    deadline = time.monotonic() + _START_SECONDS
    while _READY not in (said := log.read_text(errors="replace")):
        if server.poll() is not None or time.monotonic() > deadline:
            raise FleetError(f"the discovery server doesn't start: {said.strip()[-300:]}")
        time.sleep(0.05)
