"""What the routes of the console need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from passerby.addresses import Networks
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
    networks: Networks
    """Who may open the console; none: everybody."""
    requests: AddressLimit
    """Limits requests, by moderator."""
    can_mark_addresses: bool
    signing_key: Callable[[], Any]
    house: str
    """What authenticator apps call this place."""
    root_path: str
    """Where this place is on its site: empty, or a path such as `/chat`."""
    timestamps: Timestamps

    async def is_open(self, address: str) -> bool:
        """Return whether the console is there for an address. Raises OSError."""
        if self.networks and not self.networks.has(address):
            return False
        return await self.logins.is_any()
