"""What the routes call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from passerby.addresses import ClientAddress
from passerby.files import Files
from passerby.guests import Guests
from passerby.ice import Ice
from passerby.limits import AddressLimit
from passerby.matchmaking import Matchmaking
from passerby.presence import Presence
from passerby.socketio import Server
from passerby.stats import Statistics


class Services(NamedTuple):
    """The application, as far as HTTP needs it. `limits` are per address, by the name in a route's `limit`."""

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
    limits: Mapping[str, AddressLimit]
