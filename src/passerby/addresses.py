"""The client's address: the socket's peer, or the address that trusted proxies report in `X-Forwarded-For`."""

from __future__ import annotations

import functools
import ipaddress
import logging
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

MAX_HOPS: Final = 32
"""Hops of `X-Forwarded-For` that are read: a chain of trusted proxies has a handful."""
_LONGEST: Final = 80
"""Characters of a hop: an IPv6 address with zone, brackets and port has fewer."""
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
"""`[2001:db8::5]:443`, `[2001:db8::5]` and `192.0.2.1:17085`, as some proxies write them."""


class Networks:
    """Some networks."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks` are CIDR. Raises ValueError when an entry is not a network."""
        self.change(networks)

    def change(self, networks: Iterable[str]) -> None:
        """Be other ones from now on. Raises ValueError."""
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._networks)

    def has(self, text: str) -> bool:
        """Return whether an address is in one of them; what is no address is in none."""
        address = parse(text)
        return address is not None and self.hold(address)

    def hold(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Do as `has` for an address that is parsed."""
        return any(address in network for network in self._networks)


_NEAR: Final = Networks(
    ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
)
"""Where a proxy of one's own is: on this machine, or in a private network."""


class ClientAddress:
    """Determines the client's address. `X-Forwarded-For` is used only from proxies in `trusted` networks (CIDR)."""

    def __init__(self, trusted: Iterable[str], *, has_unix: bool = False) -> None:
        """Raises ValueError when an entry is not a network.

        `has_unix`: the server listens at a Unix socket. Who may connect to it is a proxy, and has no address ("").
        """
        self._has_unix = has_unix
        self._trusted = Networks(trusted)
        self._has_complained = False
        self._has_doubted = False

    def trust(self, networks: Iterable[str]) -> None:
        """Trust proxies of these networks only, from now on. Raises ValueError."""
        self._trusted.change(networks)
        self._has_complained = self._has_doubted = False

    def is_proxy(self, peer: str) -> bool:
        """Return whether `peer` is a trusted proxy."""
        return (self._has_unix and not peer) or (bool(self._trusted) and self._trusted.has(peer))

    def of(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: the last hop that is not a trusted proxy."""
        address = parse(peer)
        if address is None and (peer or not self._has_unix):
            return peer
        has_passed = False
        for hop in reversed(forwarded_for.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            text = hop.strip()
            if not text:
                continue  # RFC 9110 §5.6.1: empty elements of a list do not count
            if address is not None and not self._trusted.hold(address):
                if not has_passed:
                    self._doubt(address)
                break
            before = _parse_hop(text.strip('"'))
            if before is None:
                self._complain()
                break
            has_passed, address = True, before
        return "" if address is None else str(address)

    def _doubt(self, peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        """Log once that there may be a proxy which nobody has named: all its guests would count as one address.

        Anybody can send the header, but hardly from the server's own network.
        """
        if not self._has_doubted and _NEAR.hold(peer):
            self._has_doubted = True
            log.warning(
                "X-Forwarded-For comes from an address that TRUSTED_PROXIES does not name: "
                "if that is your proxy, all guests count as one address and share its limits"
            )

    def _complain(self) -> None:
        """Log once that a trusted proxy sends what is no address; what it sends may be one, so it is not logged."""
        if not self._has_complained:
            self._has_complained = True
            log.warning(
                "a trusted proxy sends an X-Forwarded-For without a readable address: "
                "its clients count as one address and share its limits"
            )


def _parse_hop(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address of a hop, which may have a port and brackets, or None."""
    if len(text) > _LONGEST:
        return None
    with_port = _WITH_PORT.fullmatch(text)
    return parse(text if with_port is None else with_port[1] or with_port[2])


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address, or None if `text` is not one. An IPv4-mapped IPv6 address is returned as IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
