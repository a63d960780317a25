"""Which addresses files are fetched from: a provider is named by others, and may be named to harm.

Anybody in a fleet could name a port of this very host, a router or a cloud's metadata service. So
nothing connects to loopback, link-local, multicast and other special addresses, unless the owner
allows their networks or has put the whole fleet on this host. What is checked is the address that
is connected to, never a name.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bift_ros.storage.errors import StorageError
from bift_ros.storage.gateway_urls import is_on_loopback
from bift_ros.storage.members import plain_address

MAX_ADDRESSES = 4
"""Of one name that are tried: it may have any number, each of which takes its time."""

# RFC 1918 and the unique local addresses (RFC 4193) are what vehicles on one network have.
_ORDINARY = tuple(map(ip_network, ("0.0.0.0/0", "2000::/3", "fc00::/7")))
_LOOPBACK = tuple(map(ip_network, ("127.0.0.0/8", "::1/128")))
# IANA's registries of special-purpose addresses, and EC2's metadata service last.
_SPECIAL = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fd00:ec2::/32"),
        ),
    )
)


class SpecialAddressError(OSError):
    """A provider is at an address from which nothing is fetched."""


@dataclass(frozen=True)
class Networks:
    """The addresses that may be connected to: all ordinary ones, and those that the owner names."""

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    """Special ones that are fetched from as well."""

    @classmethod
    def parse(cls, text: str) -> Networks:
        """Read the setting `allowed_networks`, such as `127.0.0.0/8 ::1`. Raises StorageError."""
        try:
            return cls(tuple(map(ip_network, text.split())))
        except ValueError as error:
            raise StorageError(f"the parameter allowed_networks: {error}") from error

    def seen_from(self, url: str) -> Networks:
        """Loopback, too, for a store that others reach there: then all of them are on this host."""
        return Networks((*self.allowed, *_LOOPBACK)) if is_on_loopback(url) else self

    def admit(self, address: str) -> bool:
        """Whether the address of a socket may be connected to."""
        ip = plain_address(address)
        if any(ip in network for network in self.allowed):
            return True
        ordinary = any(ip in network for network in _ORDINARY)
        return ordinary and not any(ip in network for network in _SPECIAL)

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to a host; `timeout` is for each of its addresses. Raises OSError."""
        error = OSError(f"{host} has no address")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found[:MAX_ADDRESSES]:
            if not self.admit(str(address[0])):
                error = SpecialAddressError(
                    f"{address[0]} is a special address, from which nothing is fetched unless "
                    "the parameter allowed_networks has its network"
                )
                continue
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(timeout)
                connection.connect(address)
            except OSError as failure:
                connection.close()
                error = failure
            else:
                return connection
        raise error


ORDINARY = Networks()
"""No special ones."""
