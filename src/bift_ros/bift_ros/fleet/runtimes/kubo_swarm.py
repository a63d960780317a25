"""A fleet's Kubo daemons: one private swarm in which each knows all others beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.storage.kubo.config import (
    SWARM_KEY_FILE,
    KuboSettings,
    new_swarm_key,
    read_swarm_key,
    swarm_address,
)
from bift_ros.storage.kubo.daemon import KuboDaemon

_HOST = "127.0.0.1"


def kubo_parameters(
    folder: Path, names: Sequence[str], vehicles: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Make the swarm's key and each vehicle's repository; its `kubo_…` parameters by name.

    `vehicles` are single vehicles' other parameters. mDNS would find the vehicles of one host, but
    not over its loopback. Raises `StorageError`.
    """
    key = folder / SWARM_KEY_FILE
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(new_swarm_key())
    addresses = {}
    for name in names:
        host = vehicles.get(name, {}).get("gateway_host", _HOST)
        daemon = KuboDaemon(VehicleFolders(folder / name).kubo)
        daemon.stop()  # what a run that was killed may have left
        daemon.init(KuboSettings(host=host, swarm_key=read_swarm_key(key)))
        addresses[name] = swarm_address(daemon.repository, host)
    return {
        name: {
            "kubo_swarm_key": str(key.resolve()),
            "kubo_peers": " ".join(a for other, a in addresses.items() if other != name),
        }
        for name in names
    }
