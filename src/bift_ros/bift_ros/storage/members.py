"""Where members of the fleet are, as far as a store was told to fetch from them.

Providers' addresses come from members' signed words, so a gateway that is asked from one of them
most likely serves a member. Whoever forges that has to have the address, and gets no file for it
that others don't: only a place before strangers.
"""

from __future__ import annotations

import threading
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_MEMBERS = 1024
"""Addresses that are kept; the one heard of longest ago goes first."""


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """An IP address without its scope, IPv4 within IPv6 as IPv4. Raises ValueError."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class MemberAddresses:
    """A bounded set of IP addresses, for any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._heard: dict[IPv4Address | IPv6Address, None] = {}

    def __contains__(self, address: object) -> bool:
        return address in self._heard

    def note(self, host: str) -> None:
        """Note a provider's address. Raises ValueError for a name."""
        address = plain_address(host)
        with self._mutex:
            self._heard.pop(address, None)
            self._heard[address] = None
            if len(self._heard) > MAX_MEMBERS:
                del self._heard[next(iter(self._heard))]
