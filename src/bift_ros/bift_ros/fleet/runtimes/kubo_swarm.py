"""A fleet's Kubo daemons: one private swarm in which each knows all others beforehand."""

from __future__ import annotations

from collections.abc import Mapping
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


def kubo_parameters(folder: Path, hosts: Mapping[str, str | None]) -> dict[str, dict[str, Any]]:
    """Make the swarm's key and each vehicle's repository; its `kubo_…` parameters by name.

    `hosts` are the addresses that vehicles listen on, by name; None: the loopback, over which
    mDNS, that finds the vehicles of one host, would not find them. Raises `StorageError`.
    """
    key = folder / SWARM_KEY_FILE
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(new_swarm_key())
    addresses = {}
    for name, host in hosts.items():
        daemon = KuboDaemon(VehicleFolders(folder / name).kubo)
        daemon.stop()  # what a run that was killed may have left
        daemon.init(KuboSettings(host=host or _HOST, swarm_key=read_swarm_key(key)))
        addresses[name] = swarm_address(daemon.repository, host or _HOST)
    return {
        name: {
            "kubo_swarm_key": str(key.resolve()),
            "kubo_peers": " ".join(a for other, a in addresses.items() if other != name),
        }
        for name in hosts
    }
