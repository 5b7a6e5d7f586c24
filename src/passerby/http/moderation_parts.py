"""What the routes of the console need."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, NamedTuple

from passerby.clock import Timestamps
from passerby.limits import AddressLimit
from passerby.moderation.audit import Journal
from passerby.moderation.desk import Desk
from passerby.moderation.figures import FigureStore
from passerby.moderation.logins import Logins
from passerby.moderation.staff import StaffStore


class Moderation(NamedTuple):
    """The parts of the application that the console needs."""

    logins: Logins
    desk: Desk
    staff: StaffStore
    journal: Journal
    figures: FigureStore
    hours: tuple[float, float, float]
    """Targets in hours, by severity from 3 to 1."""
    networks: tuple[str, ...]
    """Who may open the console; none: everybody."""
    requests: AddressLimit
    """Limits requests, by moderator."""
    can_mark_addresses: bool
    signing_key: Callable[[], Any]
    house: str
    """What authenticator apps call this place."""
    timestamps: Timestamps

    async def is_open(self, address: str) -> bool:
        """Return whether the console is there for an address. Raises OSError."""
        if self.networks and not _is_in(address, self.networks):
            return False
        return await self.logins.is_any()


def _is_in(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in ipaddress.ip_network(network, strict=False) for network in networks)
