"""The events of the statistics."""

from __future__ import annotations

from typing import ClassVar

from passerby.events import ErrorEvent, Event
from passerby.models import (
    OnlineUser,
    Stats,
    Timestamp,
)


class GetStats(Event):
    """Request the statistics. Answered by realtime:stats."""

    event: ClassVar[str] = "get:stats"


class RealtimeStats(Event):
    """Live counts and a bounded sample of online guests.

    Sent on change, at most once per STATS_INTERVAL (by default a second).
    """

    event: ClassVar[str] = "realtime:stats"
    stats: Stats
    online_users: list[OnlineUser]
    timestamp: Timestamp


class StatsError(ErrorEvent):
    """The statistics are not available."""

    event: ClassVar[str] = "get:stats:error"


INBOUND: tuple[type[Event], ...] = (GetStats,)
OUTBOUND: tuple[type[Event], ...] = (
    RealtimeStats,
    StatsError,
)
