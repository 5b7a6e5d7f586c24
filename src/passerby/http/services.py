"""What the routes call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from passerby.addresses import ClientAddress
from passerby.background import Background
from passerby.calls.ice import Ice
from passerby.files.files import Files
from passerby.guests.sessions import Guests
from passerby.limits import AddressLimit
from passerby.matching.matchmaking import Matchmaking
from passerby.models import Limits
from passerby.presence import Presence
from passerby.socketio import Server
from passerby.stats.statistics import Statistics


class Services(NamedTuple):
    """The application, as far as HTTP needs it."""

    guests: Guests
    files: Files
    upload_timeout: float
    """Seconds for a whole upload."""
    ice: Ice
    presence: Presence
    matchmaking: Matchmaking
    stats: Statistics
    server: Server
    address: ClientAddress
    rates: Mapping[str, AddressLimit]
    """Per address, by the name in a route's `limit`."""
    limits: Limits
    """What clients are told to keep to."""
    check: Callable[[], Awaitable[dict[str, bool]]]
    """Asks all adapters whether they can serve now."""
    background: Background
