"""`./bift storage kubo init|start|stop|status`: a vehicle's IPFS daemon, run by hand.

A vehicle with the parameter `storage: kubo` does all of this by itself, unless its parameter
`kubo_api` names a daemon such as these commands run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.console.output import show
from bift_ros.storage.interface import StorageError
from bift_ros.storage.kubo.api import untested
from bift_ros.storage.kubo.config import SWARM_KEY_FILE, KuboSettings, read_swarm_key
from bift_ros.storage.kubo.daemon import KuboDaemon, KuboStatus

_MIB = 1 << 20
_ACTIONS = {
    "init": "make a repository, or change the settings of one whose daemon is stopped",
    "start": "start the daemon and wait until it answers; it goes on until it is stopped",
    "stop": "stop the daemon",
    "status": "show whether it runs, its addresses, its peers and how full it is",
}


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    parser.take_actions("BACKEND")
    kubo = parser.add_action(
        "kubo",
        "a Kubo daemon in the fleet's private swarm",
        description="A Kubo (IPFS) daemon in the fleet's private swarm, one for each vehicle.",
    )
    for name, summary in _ACTIONS.items():
        action = kubo.add_action(name, summary, description=f"{summary.capitalize()}.")
        where = action.add_mutually_exclusive_group(required=True)
        where.add_argument("--repo", type=Path, help="folder of the daemon's repository")
        where.add_argument("--data", type=Path, help="a vehicle's data folder, which holds it")
        action.add_json()
        if name == "init":
            _add_settings(action)


def _add_settings(parser: Parser) -> None:
    defaults = KuboSettings()
    parser.add_argument(
        "--host", default=defaults.host, help="IP address to serve files on (%(default)s)"
    )
    for name in ("gateway", "swarm", "api"):
        parser.add_argument(
            f"--{name}-port", type=_port, default=0, help="default: the one it had, else a free one"
        )
    parser.add_argument(
        "--swarm-key", type=Path, help="the fleet's (default: the one it had, else a new one)"
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="swarm address of another daemon, as `status` shows it there; may be repeated",
    )
    parser.add_argument(
        "--storage-mb",
        type=positive,
        default=defaults.max_bytes // _MIB,
        help="MiB from which on files that nobody pinned are dropped (%(default)s)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Do it and show how the daemon then is; 1 for the status of one that does not run."""
    repository = arguments.repo or VehicleFolders(arguments.data).kubo
    daemon = KuboDaemon(repository)
    with reporting(StorageError, OSError):
        match arguments.action:
            case "init":
                daemon.init(_settings(arguments))
            case "start":
                daemon.start()
                daemon.connect_peers()
            case "stop":
                daemon.stop()
        status = daemon.status()
    show(arguments.json, asdict(status), *_lines(status, arguments.action))
    return int(arguments.action == "status" and not status.running)


def _settings(arguments: argparse.Namespace) -> KuboSettings:
    key = arguments.swarm_key
    return KuboSettings(
        host=arguments.host,
        gateway_port=arguments.gateway_port,
        swarm_port=arguments.swarm_port,
        api_port=arguments.api_port,
        swarm_key=read_swarm_key(key) if key is not None else None,
        peers=tuple(arguments.peer),
        max_bytes=arguments.storage_mb * _MIB,
    )


def _lines(status: KuboStatus, action: str) -> Iterator[str]:
    rows = {
        "repository": status.repository,
        "running": f"yes, process {status.pid}" if status.running else "no",
        "swarm address": status.swarm_address,
        "API": status.api,
        "gateway port": str(status.gateway_port),
    }
    if status.running:
        assert status.repository_bytes is not None
        assert status.storage_max_bytes is not None
        used, most = status.repository_bytes / _MIB, status.storage_max_bytes / _MIB
        rows |= {
            "Kubo": status.version or "",
            "peers": f"\n{'':15}".join(status.peers) or "none",
            "stored": f"{used:.1f} of {most:.0f} MiB",
        }
    for name, value in rows.items():
        yield f"{name + ':':15}{value}"
    warning = untested(status.version) if status.version is not None else None
    if warning:
        yield f"Note: {warning}."
    if action == "init":
        yield (
            f"The swarm's key is {Path(status.repository) / SWARM_KEY_FILE}: give every vehicle "
            "of the fleet the same one (--swarm-key), and nobody else."
        )


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not a port from 1 to 65535")
    return port
