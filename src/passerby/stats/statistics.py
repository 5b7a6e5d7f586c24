"""Statistics: exact counts, broadcast to all connected guests at a limited rate.

The first change is broadcast at once, later ones at most every `interval` seconds. All nodes together send at most
`frames` frames a second: a broadcast to many guests is encoded once and sent in chunks.

Of several nodes one, the first, makes the broadcasts for all; see `Others`. The others let it know of a change, and
pass on to their guests what it tells. If it does not answer, a node makes a broadcast for its own guests.
"""

from __future__ import annotations

import asyncio
import math
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from passerby.background import ANSWER_LIMIT
from passerby.clock import Timestamps, sleep, time_limit
from passerby.models import OnlineUser, Stats
from passerby.stats.counters import Tally
from passerby.stats.events import RealtimeStats
from passerby.stats.others import Shown, newest

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.guests.sessions import Guests
    from passerby.guests.store import SessionStore
    from passerby.live import LiveGuest
    from passerby.stats.counters import Counters
    from passerby.stats.others import Others

_SLICE: Final = 0.05
"""Seconds between two chunks of a broadcast: short enough that no message is delayed noticeably."""
_HEARTBEAT: Final = 2.0
"""Seconds between two reports of this node's tally when nothing changes."""
_TALLY_LIFETIME: Final = 5.0
"""Seconds until a node's tally expires if it is not renewed: two heartbeats may be lost, and a node that was killed
counts no longer after that."""
_AGAIN: Final = 2.0
"""Seconds after which the first node is told again that a broadcast is due: it may have frozen meanwhile, or not have
known this node yet. (One that has many guests takes longer for a broadcast, and hears it once more.)"""


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
        self._frames = frames
        self._publish = publish
        self._dirty = asyncio.Event()
        self._latest: RealtimeStats | None = None
        self._resting = False
        self.others: Others | None = None
        """The other nodes; None: this one is alone."""
        self._nodes = {node}
        """Which nodes there were lately."""
        self._gathering = asyncio.Lock()
        self._gathered: list[Shown] = []
        """Guests of the other nodes for the online list."""
        self._gathered_at = -math.inf
        self._told: RealtimeStats
        """What the first node has told last."""
        self._arrived = asyncio.Event()
        self._served = asyncio.Event()
        """The first node has made a broadcast, or there may be another first node."""
        self._encode = msgspec.json.Encoder().encode
        self._decode_event = msgspec.json.Decoder(RealtimeStats).decode
        self._decode_shown = msgspec.json.Decoder(list[Shown]).decode

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
        """Wait a little, then report this node's counts. Raises TimeoutError, and what the adapter raises.

        If there are other nodes than at the last look, or at the last broadcast, another broadcast is due.
        """
        await sleep(self._clock, _HEARTBEAT)
        if self.others is not None and self.others.nodes != self._nodes:
            self._nodes = self.others.nodes
            self.regroup()
        async with time_limit(self._clock, ANSWER_LIMIT):
            await self._report()

    async def _report(self) -> None:
        await self._counters.report(self._node, self.tally(), _TALLY_LIFETIME)

    def _newest(self) -> list[LiveGuest]:
        return list(islice(reversed(self._guests.online.values()), self._sample))

    def online_users(self) -> list[OnlineUser]:
        """Return the public view of the most recently connected guests of this node, at most `sample`."""
        return [OnlineUser.of(live.guest) for live in self._newest()]

    async def _online_users_of_all(self, age: float) -> list[OnlineUser]:
        """Return the same of all nodes. What is known of the others may be `age` seconds old."""
        if self.others is None or self.others.count == 1:
            return self.online_users()
        async with self._gathering:
            if self._clock.monotonic() - self._gathered_at >= age:
                shares = await self.others.gather()
                self._gathered = [shown for share in shares for shown in self._decode_shown(share)]
                self._gathered_at = self._clock.monotonic()
        return newest([*self._shown(), *self._gathered], self._sample)

    def _shown(self) -> list[Shown]:
        return [Shown(live.guest.connected_at or "", OnlineUser.of(live.guest)) for live in self._newest()]

    async def snapshot(self, age: float | None = None) -> RealtimeStats:
        """Return all statistics, as of now; of the other nodes' guests as of `age` seconds ago, None: of one interval.

        Raises TimeoutError, and what the adapters raise.
        """
        users = await self._online_users_of_all(self._interval if age is None else age)
        return RealtimeStats(stats=await self.stats(), online_users=users, timestamp=self._timestamps.now())

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
        others = self.others
        try:
            if others is not None and not others.is_first and await self._is_left_to_first(others):
                return
            if others is not None:
                self._nodes = others.nodes
            self._latest = await self.snapshot(0.0)
            self._resting = True
            if others is not None and others.is_first:
                others.tell(self._encode(self._latest))
            elif others is not None:
                self._dirty.set()  # until the first hears
            await self._send(self._latest)
        except BaseException:
            self._resting = False
            self._dirty.set()
            raise
        await sleep(self._clock, max(_SLICE, begun + self._interval - self._clock.monotonic()))
        self._resting = False

    async def _send(self, event: RealtimeStats) -> None:
        frames = self._frames if self.others is None else self._frames / self.others.count
        size = math.ceil(frames * _SLICE)
        pause = size / frames
        audience = list(self._guests.online.values())
        while audience:
            self._publish(event, audience[-size:])
            del audience[-size:]
            if audience:
                await sleep(self._clock, pause)

    # ── several nodes ─────────────────────────────────────────────────────────────────────────────

    async def share(self) -> bytes:
        """Return what this node has for a snapshot of all, after its counts are reported."""
        await self._report()
        return self._encode(self._shown())

    def told(self, event: bytes) -> None:
        """Take the broadcast of the first node, for `pass_on`. Raises msgspec.MsgspecError."""
        self._told = self._decode_event(event)
        self._arrived.set()
        self._served.set()

    def regroup(self) -> None:
        """What was told or announced may be lost, or there is another first node: make a broadcast."""
        self._dirty.set()
        self._served.set()

    async def forget(self, node: str) -> None:
        """Count a node no longer: it is gone. Raises what the adapter raises."""
        try:
            await self._counters.forget(node)
        finally:
            self.regroup()

    async def _is_left_to_first(self, others: Others) -> bool:
        """Let the first node know that a broadcast is due, and wait until it has made one; return whether it knows."""
        self._served.clear()
        if not await others.announce():
            return False
        try:
            async with time_limit(self._clock, _AGAIN):
                await self._served.wait()
        except TimeoutError:
            self._dirty.set()
        return True

    async def pass_on(self) -> None:
        """Wait for a broadcast of the first node, and send it to this node's guests. Of several, the last one."""
        await self._arrived.wait()
        self._arrived.clear()
        self._latest = self._told
        self._resting = True
        await self._send(self._latest)
        try:
            async with time_limit(self._clock, self._interval):
                await self._arrived.wait()
        except TimeoutError:
            self._resting = False
