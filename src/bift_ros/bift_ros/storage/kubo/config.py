"""The settings of a vehicle's Kubo daemon: a private swarm, and nothing that phones out.

A fresh daemon joins the public IPFS network: it bootstraps, announces what it has, relays, fetches
its settings and reports on its use. Here all of that is off. A daemon talks only to those that
hold the fleet's swarm key, finds them on the local network (mDNS) or by the addresses given, and
its gateway serves what is in its repository.

Reference: docs/config.md of https://github.com/ipfs/kubo.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bift_ros.storage.errors import StorageError

SWARM_KEY_FILE = "swarm.key"
STORAGE_MAX = 8 * 1024**3
"""Bytes of blocks that a daemon keeps by default."""

_SWARM_KEY = re.compile(r"/key/swarm/psk/1\.0\.0/\n/base16/\n[0-9a-f]{64}\n?")
_PEER = re.compile(r"(/(?:ip4|ip6|dns|dns4|dns6)/[^/]+/tcp/\d+)/p2p/(\w+)")
# A private swarm has TCP alone.
_OTHER_TRANSPORTS = ("Relay", "Websocket", "QUIC", "WebTransport", "WebRTCDirect")
# Below the ports that the kernel gives to outgoing connections, so that one found free stays free.
_PORTS = range(15_000, 32_000)


@dataclass(frozen=True)
class KuboSettings:
    """What makes one vehicle's daemon differ from another's."""

    host: str = "127.0.0.1"
    """Address on which it serves its files, over HTTP and in the swarm."""
    gateway_port: int = 0
    """0, here and below: the one it had, else any free one."""
    swarm_port: int = 0
    api_port: int = 0
    """The API listens on loopback only: whoever reaches it rules the daemon."""
    swarm_key: str | None = None
    """Text of the fleet's swarm key; None: the one it has, else a new one of its own."""
    peers: tuple[str, ...] = ()
    """Multiaddresses of other daemons to stay connected to, each ending in /p2p/ID."""
    find_peers: bool = True
    """Whether to seek others on the local network (mDNS) as well."""
    max_bytes: int = STORAGE_MAX
    """Bytes of blocks from which on files that nobody pinned are collected."""


def new_swarm_key() -> str:
    """A fresh key for a fleet's swarm, as the text of a swarm.key file."""
    return f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n"


def read_swarm_key(path: Path) -> str:
    """Read a fleet's swarm key. Raises `StorageError`."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"the swarm key {path} cannot be read: {error}") from error
    if not _SWARM_KEY.fullmatch(text):
        raise StorageError(
            f"{path} is no swarm key (three lines: /key/swarm/psk/1.0.0/, /base16/ and 64 hex "
            "digits): `bift storage kubo init` makes one; copy it to every vehicle of the fleet"
        )
    return text


def write_settings(repository: Path, settings: KuboSettings) -> None:
    """Bring an initialised repository's config file in line. Raises `StorageError`.

    Its identity and the layout of its data stay.
    """
    path = repository / "config"
    try:
        config = json.loads(path.read_text())
        key = repository / SWARM_KEY_FILE
        if settings.swarm_key is not None:
            _write_private(key, settings.swarm_key)
        elif not key.exists():
            _write_private(key, new_swarm_key())
        _merge(config, _overlay(settings, config.get("Addresses", {})))
        for mount in config["Datastore"]["Spec"]["mounts"]:
            if mount.get("type") == "flatfs":
                mount["sync"] = True  # a put is durable when it returns
        _write_private(path, json.dumps(config, indent=2) + "\n")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"the Kubo repository {repository} has no usable config ({error!r}): remove the "
            "folder and `bift storage kubo init` makes a new one"
        ) from error


def peer_id(repository: Path) -> str:
    """The daemon's name in the swarm. Raises `StorageError`."""
    return str(_read(repository, "Identity", "PeerID"))


def swarm_address(repository: Path, host: str) -> str:
    """Where other daemons reach this one in the swarm, if they reach it at `host`."""
    (address,) = _read(repository, "Addresses", "Swarm")
    family = "ip6" if ":" in host else "ip4"
    return f"/{family}/{host}/tcp/{address.split('/')[4]}/p2p/{peer_id(repository)}"


def api_address(repository: Path) -> str:
    """The multiaddress of the daemon's API."""
    return str(_read(repository, "Addresses", "API"))


def peer_addresses(repository: Path) -> list[str]:
    """Multiaddresses of the daemons to stay connected to."""
    known = _read(repository, "Peering", "Peers") or []
    return [f"{address}/p2p/{peer['ID']}" for peer in known for address in peer["Addrs"]]


def listening_host(repository: Path) -> str:
    """The address on which the daemon serves its files."""
    return str(_read(repository, "Addresses", "Gateway").split("/")[2])


def gateway_port(repository: Path) -> int:
    """The TCP port of the daemon's gateway."""
    return int(_read(repository, "Addresses", "Gateway").split("/")[4])


def _overlay(settings: KuboSettings, present: dict[str, Any]) -> dict[str, Any]:
    try:
        host = ipaddress.ip_address(settings.host)
    except ValueError as error:
        raise StorageError(
            f"a Kubo daemon listens on an IP address, which {settings.host!r} is not: set "
            "gateway_host to one, such as 127.0.0.1 or 0.0.0.0"
        ) from error

    def listen(ip: str, wanted: int, before: Any) -> str:
        family = "ip6" if ":" in ip else "ip4"
        return f"/{family}/{ip}/tcp/{wanted or _port_of(before) or _free_port(ip)}"

    swarm = present.get("Swarm") or [""]
    off = {"Enabled": False}
    return {
        "Addresses": {
            "API": listen("127.0.0.1", settings.api_port, present.get("API")),
            "Gateway": listen(str(host), settings.gateway_port, present.get("Gateway")),
            # TCP alone: Kubo's private swarms have no QUIC.
            "Swarm": [listen(str(host), settings.swarm_port, swarm[0])],
        },
        "Bootstrap": [],
        "Discovery": {"MDNS": {"Enabled": settings.find_peers and not host.is_loopback}},
        "Peering": {"Peers": [_peer(address) for address in settings.peers]},
        "Routing": {"Type": "none", "DelegatedRouters": []},
        "Provide": off,
        "Swarm": {
            "DisableNatPortMap": True,
            "EnableHolePunching": False,
            "RelayClient": off,
            "RelayService": off,
            "Transports": {"Network": dict.fromkeys(_OTHER_TRANSPORTS, False)},
            "ConnMgr": {"Type": "basic", "LowWater": 64, "HighWater": 128},
        },
        "AutoNAT": {"ServiceMode": "disabled"},
        "AutoTLS": off,
        "AutoConf": off,
        "DNS": {"Resolvers": {}},
        "Ipns": {"DelegatedPublishers": []},
        "HTTPRetrieval": off,  # only from public HTTPS gateways that the public routing names
        "Version": {"SwarmCheckEnabled": False},
        "Plugins": {"Plugins": {"telemetry": {"Config": {"Mode": "off"}}}},
        "Gateway": {
            "NoFetch": True,
            "NoDNSLink": True,
            "DeserializedResponses": True,  # stretches of files, for those who know their chunks
            "ExposeRoutingAPI": False,
        },
        "Datastore": {"StorageMax": f"{settings.max_bytes}B", "StorageGCWatermark": 90},
    }


def _merge(into: dict[str, Any], overlay: dict[str, Any]) -> None:
    for name, value in overlay.items():
        if isinstance(value, dict) and value and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _peer(address: str) -> dict[str, Any]:
    match = _PEER.fullmatch(address)
    if not match:
        raise StorageError(
            f"{address!r} is no peer's address: write it like "
            "/ip4/192.168.0.7/tcp/4001/p2p/12D3Koo…, as `bift storage kubo status` shows it there"
        )
    return {"ID": match[2], "Addrs": [match[1]]}


def _port_of(address: Any) -> int:
    """The port that a config had stated; 0 for none, and for Kubo's own defaults."""
    parts = address.split("/") if isinstance(address, str) else []
    port = int(parts[4]) if len(parts) == 5 and parts[4].isdecimal() else 0
    return port if port in _PORTS else 0


def _free_port(host: str) -> int:
    for _ in range(100):
        port = secrets.choice(_PORTS)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
            try:
                attempt.bind((host, port))
            except OSError as error:
                reason = error
                continue
        return port
    raise StorageError(f"no port on {host} can be had for a Kubo daemon: {reason.strerror}")


def _read(repository: Path, section: str, name: str) -> Any:
    try:
        return json.loads((repository / "config").read_text())[section][name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{repository} is no Kubo repository: `bift storage kubo init --repo {repository}` "
            "makes one"
        ) from error


def _write_private(path: Path, text: str) -> None:
    """Replace a file that holds a key, readable by its owner alone."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)
