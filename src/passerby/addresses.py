"""Whose request it is: the socket's peer, or what trusted proxies say in `X-Forwarded-For`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ClientAddress:
    """Tells the client's address. Only proxies in `trusted` networks (CIDR) are believed."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises ValueError when an entry is no network."""
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]

    def of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last hop that no trusted proxy vouches for."""
        address = _parse(peer)
        if address is None:
            return peer
        for hop in reversed(forwarded_for.split(",") if forwarded_for else ()):
            if not any(address in network for network in self._trusted):
                break
            before = _parse(hop.strip())
            if before is None:
                break
            address = before
        return str(address)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return an address, an IPv4 one also where an IPv6 socket shows it as `::ffff:…`; None when it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
