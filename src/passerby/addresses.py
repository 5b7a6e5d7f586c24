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
        address = peer
        for hop in reversed(forwarded_for.split(",") if forwarded_for else ()):
            if not self._trusts(address):
                break
            hop_address = hop.strip()
            if not _is_address(hop_address):
                break
            address = hop_address
        return address

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
