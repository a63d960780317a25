"""What a container is given: its vehicle's settings, keys and bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bift_ros.fleet.runtimes.folder import key_file
from bift_ros.fleet.runtimes.plan import FleetPlan, VehiclePlan
from bift_ros.security.keystore import SecurityKeystore

SETTINGS = "/etc/bift"
"""Where it finds all that."""
KEYSTORE = f"{SETTINGS}/security"
"""A keystore of DDS security with the vehicle's own enclave alone."""


@dataclass(frozen=True)
class Input:
    """A file of the host, or a bag's folder, that the container is given to read."""

    source: Path
    target: str
    """Where it finds it."""
    kind: Literal["setting", "secret", "bag"]
    """Settings and secrets are small; a bag may be of any size."""

    @property
    def name(self) -> str:
        """What it is called among those of its container."""
        parts = Path(self.target).relative_to(SETTINGS).parts
        return parts[-1] if len(parts) == 1 else f"{parts[0]}-{parts[-1]}"


def bag_target(bag: Path) -> str:
    """Where a bag's folder is."""
    return f"{SETTINGS}/bag/{bag.name}"


def vehicle_inputs(
    plan: FleetPlan, planned: VehiclePlan, bag: Path | None, keystore: SecurityKeystore | None
) -> tuple[Input, ...]:
    """All that a vehicle's is given; without a `keystore` it has no DDS security."""
    inputs = (
        Input(plan.genesis_file, f"{SETTINGS}/genesis.json", "setting"),
        Input(planned.parameters_file, f"{SETTINGS}/parameters.yaml", "setting"),
        Input(key_file(planned.folder), f"{SETTINGS}/key.pem", "secret"),
    )
    bags = (Input(bag, bag_target(bag), "bag"),) if bag is not None else ()
    return (*inputs, *bags, *_enclave(planned, keystore))


def _enclave(planned: VehiclePlan, keystore: SecurityKeystore | None) -> tuple[Input, ...]:
    """The vehicle's own certificate, permissions and key, and nobody else's."""
    if keystore is None or planned.enclave is None:
        return ()
    target, given = f"{KEYSTORE}/enclaves{planned.enclave}", keystore.files(planned.enclave)
    return tuple(Input(file, f"{target}/{file.name}", "secret") for file in given)
