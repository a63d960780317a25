"""The store that a vehicle's settings ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import Storage, StorageError
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
            # With ipfshttpclient and requests, which cost a vehicle a tenth of its start.
            from bift_ros.nodes.vehicle.kubo_storage import open_kubo_storage

            return open_kubo_storage(settings, folders, networks)
        case other:
            raise StorageError(f"the parameter storage is {other!r}: set it to embedded or kubo")


def keep(storage: Storage, file: bytes) -> str:
    """Keep a file for good; its CID. Raises StorageError."""
    cid = storage.put(file)
    storage.pin(cid)
    return cid
