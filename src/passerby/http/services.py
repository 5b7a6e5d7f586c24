"""The services that the routes use."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from litestar.connection import ASGIConnection

from passerby.addresses import ClientAddress
from passerby.background import Background
from passerby.calls.ice import Ice
from passerby.clock import Clock, Timestamps
from passerby.files.files import Files
from passerby.guests.sessions import Guests
from passerby.hours import Hours
from passerby.http.moderation_parts import Moderation
from passerby.http.probes import Probes
from passerby.matching.matchmaking import Matchmaking
from passerby.matching.pulse import Pulse
from passerby.measures import Refusals
from passerby.models import Limits, RedisState, RedisStats
from passerby.nodes.buckets import Buckets
from passerby.presence import Presence
from passerby.safety.appeals import Appeals
from passerby.safety.banlist import BanList
from passerby.safety.devices import Devices
from passerby.safety.newcomers import Newcomers
from passerby.safety.proofs import Proofs
from passerby.safety.reports import Reports
from passerby.socketio import Server
from passerby.socketio.origins import Origins
from passerby.stats.statistics import Statistics

_HOST: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
"""RFC 9110 §7.2, of RFC 3986 §3.2.2 only names that DNS has, and addresses."""
_LONGEST_HOST: Final = 261
"""Characters of a name in DNS, and of a port."""
_LAST_PORT: Final = 65_535


class Services(NamedTuple):
    """The parts of the application that HTTP needs."""

    guests: Guests
    files: Files
    upload_timeout: float
    """Maximum duration of an upload in seconds."""
    upload_pace: int
    """Minimum bytes a second of an upload."""
    ice: Ice
    presence: Presence
    matchmaking: Matchmaking
    pulse: Pulse
    hours: Hours
    stats: Statistics
    server: Server
    address: ClientAddress
    rates: Mapping[str, Buckets]
    """Rate limits per address, by the name in a route's `limit`."""
    limits: Limits
    """Limits that are sent to clients."""
    check: Callable[[], Awaitable[dict[str, bool]]]
    """Checks whether each adapter can serve now."""
    redis: Callable[[], RedisStats | None]
    """Returns how Redis fares; None if it is not used."""
    background: Background
    probes: Probes
    proofs: Proofs
    devices: Devices
    bans: BanList
    appeals: Appeals
    reports: Reports
    newcomers: Newcomers
    age_url: str | None
    """The provider that guests are sent to."""
    origins: Origins
    """Those whose pages may use this server."""
    timestamps: Timestamps
    moderation: Moderation
    clock: Clock
    refusals: Refusals
    frames: int
    """Version of what nodes tell each other."""
    revision: str | None
    """Of the database's tables; None without a database."""

    def redis_state(self) -> RedisState:
        """Return whether Redis is in use."""
        stats = self.redis()
        return "off" if stats is None else stats.state

    def address_of(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return the address of the client that sent the request, as reported by trusted proxies."""
        peer = connection.client.host if connection.client else ""
        return self.address.of(peer, self.forwarded_for(connection))

    def is_secure(self, connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
        """Return whether the client uses HTTPS, as reported by trusted proxies."""
        peer = connection.client.host if connection.client else ""
        if connection.scope["scheme"] == "https":  # not of `connection.url`, which fails for a Host that is no host
            return True
        forwarded = connection.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        return forwarded == "https" and self.address.is_proxy(peer)

    @staticmethod
    def host_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return `Host` if it is the name or the address of a server; `localhost` if it is missing or anything else."""
        host = connection.headers.get("host", "")
        found = _HOST.fullmatch(host) if len(host) <= _LONGEST_HOST else None
        return host if found is not None and int(found["port"] or 0) <= _LAST_PORT else "localhost"

    @staticmethod
    def forwarded_for(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Return `X-Forwarded-For` as it came; several are joined."""
        return ", ".join(connection.headers.getall("x-forwarded-for", []))
