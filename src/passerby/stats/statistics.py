"""Statistics: exact counts, broadcast to all connected guests at a limited rate.

The first change is broadcast at once, later ones at most every `interval` seconds. The process sends at most `frames`
frames a second: a broadcast to many guests is encoded once and sent in chunks.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

from passerby.background import ANSWER_LIMIT
from passerby.clock import Timestamps, sleep, time_limit
from passerby.models import OnlineUser, Stats
from passerby.stats.counters import Tally
from passerby.stats.events import RealtimeStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.guests.sessions import Guests
    from passerby.guests.store import SessionStore
    from passerby.live import LiveGuest
    from passerby.stats.counters import Counters

_SLICE: Final = 0.05
"""Seconds between two chunks of a broadcast: short enough that no message is delayed noticeably."""
_HEARTBEAT: Final = 2.0
"""Seconds between two reports of this node's tally when nothing changes."""
_TALLY_LIFETIME: Final = 5.0
"""Seconds until a node's tally expires if it is not renewed: two heartbeats may be lost, and a node that was killed
counts no longer after that."""


class Statistics:
    """Counts, lists and broadcasts. `publish(event, guests)` sends one event to many guests, encoded once."""

    def __init__(
        self,
        guests: Guests,
        rooms: Rooms,
        store: SessionStore,
        counters: Counters,
        clock: Clock,
        *,
        node: str,
        sample: int,
        interval: float,
        frames: int,
        publish: Callable[[RealtimeStats, list[LiveGuest]], None],
    ) -> None:
        """`sample` limits the online list; `interval` is in seconds, `frames` per second."""
        self._guests = guests
        self._rooms = rooms
        self._store = store
        self._counters = counters
        self._clock = clock
        self._timestamps = Timestamps(clock)
        self._node = node
        self._sample = sample
        self._interval = interval
        self._per_slice = max(1, int(frames * _SLICE))
        self._publish = publish
        self._dirty = asyncio.Event()
        self._latest: RealtimeStats | None = None
        self._resting = False

    # ── counting ──────────────────────────────────────────────────────────────────────────────────

    def tally(self) -> Tally:
        """Return this node's counts. Their owners update them at every change."""
        return Tally(
            online=len(self._guests.online),
            chatting=self._rooms.online_members,
            pairs=self._rooms.count,
        )

    async def stats(self) -> Stats:
        """Return the counts of all nodes. Raises TimeoutError, and what the adapters raise."""
        async with time_limit(self._clock, ANSWER_LIMIT):
            await self._report()
            total = await self._counters.total()
            sessions = await self._store.count()
        return Stats(
            total_users=sessions,
            online_users=total.online,
            active_users=total.online,
            available_users=total.online - total.chatting,
            connected_users=total.pairs,
        )

    async def heartbeat(self) -> None:
        """Wait a little, then report this node's counts. Raises TimeoutError, and what the adapter raises."""
        await sleep(self._clock, _HEARTBEAT)
        async with time_limit(self._clock, ANSWER_LIMIT):
            await self._report()

    async def _report(self) -> None:
        await self._counters.report(self._node, self.tally(), _TALLY_LIFETIME)

    def online_users(self) -> list[OnlineUser]:
        """Return the public view of the most recently connected guests, at most `sample`."""
        return [OnlineUser.of(live.guest) for live in islice(reversed(self._guests.online.values()), self._sample)]

    async def snapshot(self) -> RealtimeStats:
        """Return all statistics, as of now."""
        return RealtimeStats(
            stats=await self.stats(),
            online_users=self.online_users(),
            timestamp=self._timestamps.now(),
        )

    # ── broadcasting ──────────────────────────────────────────────────────────────────────────────

    def changed(self) -> None:
        """Called when a guest has connected, disconnected or changed status."""
        self._dirty.set()

    def greet(self, live: LiveGuest) -> None:
        """Send the last broadcast to a new guest, if the next one is not due yet."""
        if self._resting and self._latest is not None:
            self._publish(self._latest, [live])

    async def broadcast(self) -> None:
        """Wait for a change, broadcast, pause for the interval. A failed broadcast is repeated."""
        await self._dirty.wait()
        self._dirty.clear()
        begun = self._clock.monotonic()
        try:
            self._latest = await self.snapshot()
            self._resting = True
            await self._send(self._latest)
        except BaseException:
            self._resting = False
            self._dirty.set()
            raise
        await sleep(self._clock, max(_SLICE, begun + self._interval - self._clock.monotonic()))
        self._resting = False

    async def _send(self, event: RealtimeStats) -> None:
        audience = list(self._guests.online.values())
        while audience:
            self._publish(event, audience[-self._per_slice :])
            del audience[-self._per_slice :]
            if audience:
                await sleep(self._clock, _SLICE)
