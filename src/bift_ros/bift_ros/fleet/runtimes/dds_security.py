"""DDS security for the vehicles of a fleet, where ROS has it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.security.keystore import SecurityError, SecurityKeystore
from bift_ros.security.rights import OBSERVER, vehicle_path

TRIAL = ("-m", "bift_ros.nodes.security_trial")
"""What Python is to run to see whether ROS has it."""
_TRIAL_SECONDS = 60.0
_DAYS = 3650


def refuse_without_security() -> None:
    """Raise FleetError where this Python's ROS has no DDS security."""
    try:
        trial = subprocess.run(
            [sys.executable, *TRIAL], capture_output=True, text=True, timeout=_TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise FleetError(no_security("ROS here", "a trial of it does not end")) from None
    if trial.returncode:
        raise FleetError(no_security("ROS here", trial.stderr))


def no_security(where: str, reason: str) -> str:
    """What to tell a person where a trial failed; `reason` is what it said, or its last line."""
    said = reason.strip().splitlines()[-1:] or ["a trial of it failed"]
    return (
        f"{where} has no DDS security ({said[0]}): take a ROS 2 whose Fast DDS was built with it, "
        "as that of Debian packages is (docs/security.md), or leave security off"
    )


def vehicles_keystore(
    folder: Path, fleet: FleetDescription, own_domain: int, fleet_domain: int
) -> SecurityKeystore:
    """The keystore of a fleet's vehicles; one that does for other vehicles or domains is replaced.

    It is a part of what a fleet's folder holds, not one that a person keeps. Raises FleetError.
    """
    cameras = {
        v.name: tuple(v.camera.remappings.values()) if v.camera else () for v in fleet.vehicles
    }
    try:
        if folder.exists():
            kept = SecurityKeystore(folder)
            wanted = {OBSERVER.path, *map(vehicle_path, cameras)}
            if kept.domains == (own_domain, fleet_domain) and wanted == set(kept.enclaves()):
                return kept
            shutil.rmtree(folder)
        return SecurityKeystore.create(folder, cameras, own_domain, fleet_domain, days=_DAYS)
    except (SecurityError, OSError) as error:
        raise FleetError(str(error)) from error
