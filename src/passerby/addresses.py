"""The client's address: the socket's peer, or the address that trusted proxies report in `X-Forwarded-For`."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HOPS: Final = 32
"""Hops of `X-Forwarded-For` that are read: a chain of trusted proxies has a handful."""


class ClientAddress:
    """Determines the client's address. `X-Forwarded-For` is used only from proxies in `trusted` networks (CIDR)."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises ValueError when an entry is not a network."""
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]

    def is_proxy(self, peer: str) -> bool:
        """Return whether `peer` is a trusted proxy."""
        if not self._trusted:
            return False
        address = _parse(peer)
        return address is not None and any(address in network for network in self._trusted)

    def of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last hop that is not a trusted proxy."""
        address = _parse(peer)
        if address is None:
            return peer
        for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:] if forwarded_for else ()):
            if not any(address in network for network in self._trusted):
                break
            before = _parse(hop.strip())
            if before is None:
                break
            address = before
        return str(address)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, or None if `text` is not one. An IPv4-mapped IPv6 address is returned as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
