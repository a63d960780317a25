"""The store that a vehicle's settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.interface import Storage, StorageError
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.kubo.config import KuboSettings, read_swarm_key
from bift_ros.storage.kubo.own_daemon import OwnKuboStorage
from bift_ros.storage.kubo.storage import KuboStorage
from bift_ros.storage.networks import Networks


def open_storage(settings: Mapping[str, Any], folders: VehicleFolders) -> Storage:
    """Open it and begin to serve. Raises `StorageError`, naming the setting that is wrong."""
    networks = Networks.parse(settings["allowed_networks"])
    match settings["storage"]:
        case "embedded":
            return EmbeddedStorage(
                folders.storage,
                host=settings["gateway_host"],
                port=settings["gateway_port"],
                advertised_host=settings["gateway_advertised_host"] or None,
                networks=networks,
                max_bytes=settings["storage_mb"] << 20,
            )
        case "kubo":
            return _kubo(settings, folders, networks)
        case other:
            raise StorageError(f"the parameter storage is {other!r}: set it to embedded or kubo")


def _kubo(settings: Mapping[str, Any], folders: VehicleFolders, networks: Networks) -> KuboStorage:
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


def keep(storage: Storage, file: bytes) -> str:
    """Keep a file for good; its CID. Raises StorageError."""
    cid = storage.put(file)
    storage.pin(cid)
    return cid
