"""The store of a vehicle on an IPFS daemon: its own one, or one that runs already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.kubo.config import KuboSettings, read_swarm_key
from bift_ros.storage.kubo.own_daemon import OwnKuboStorage
from bift_ros.storage.kubo.storage import KuboStorage
from bift_ros.storage.networks import Networks


def open_kubo_storage(
    settings: Mapping[str, Any], folders: VehicleFolders, networks: Networks
) -> KuboStorage:
    """Open it, after its daemon where that is the vehicle's. Raises `StorageError`."""
    host = settings["gateway_advertised_host"] or settings["gateway_host"]
    if settings["kubo_api"]:
        api = KuboApi(settings["kubo_api"])
        return KuboStorage(api, gateway_url(host, api.gateway_port()), networks=networks)
    key = settings["kubo_swarm_key"]
    return OwnKuboStorage(
        folders.kubo,
        KuboSettings(
            host=settings["gateway_host"],
            gateway_port=settings["gateway_port"],
            swarm_port=settings["kubo_swarm_port"],
            swarm_key=read_swarm_key(Path(key)) if key else None,
            peers=tuple(settings["kubo_peers"].split()),
            max_bytes=settings["storage_mb"] << 20,
        ),
        host,
        networks,
    )
