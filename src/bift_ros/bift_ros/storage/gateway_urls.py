"""Base URLs of gateways, such as `http://192.168.0.7:40123`: how vehicles name providers."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from bift_ros.storage.errors import StorageError

MAX_URL_LENGTH = 256
"""Characters."""

_LOWEST_PORT = 1024
_WEB_PORTS = (0, 80, 443)  # 0: not known yet
_HOST = re.compile(r"[a-z0-9._:-]+")


def is_wildcard(host: str) -> bool:
    """Whether this is every interface's address, at which nobody can be reached."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""


def is_on_loopback(url: str) -> bool:
    """Whether only processes on the same host reach this gateway."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def gateway_url(host: str, port: int) -> str:
    """The base URL to announce. Raises `StorageError` for one that nobody fetches from."""
    if is_wildcard(host):
        raise StorageError(
            f"the gateway listens on {host}, every interface: also say gateway_advertised_host, "
            "the address at which other vehicles reach this one"
        )
    _check_port(port)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def provider_origin(url: str) -> str:
    """Check a provider's URL from an announcement; return it as `scheme://host:port`.

    Raises `StorageError`.
    """
    if not isinstance(url, str) or len(url) > MAX_URL_LENGTH:
        raise StorageError(f"a provider's URL is a text of at most {MAX_URL_LENGTH} characters")
    if not (url.isascii() and url.isprintable()):
        raise StorageError("a provider's URL is printable ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise StorageError(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise StorageError("a provider's URL begins with http:// or https:// and names a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise StorageError("a provider's URL is only scheme, host and port")
    if port is not None:
        _check_port(port)
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def _check_port(port: int) -> None:
    """Raise `StorageError` for one of the system's services, which are no gateways."""
    if port < _LOWEST_PORT and port not in _WEB_PORTS:
        raise StorageError(f"a gateway's port is 80, 443 or at least {_LOWEST_PORT}, not {port}")
