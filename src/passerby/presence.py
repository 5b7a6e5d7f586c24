"""Coming, going, and what hangs on it: the one place that keeps session, search and room in step.

connected ──connection lost──▶ away (grace) ──back in time──▶ connected
    │                            │
    └──────── end ───────────────┴──grace over──▶ session removed, room closed, token refused
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from msgspec import Struct

from passerby.clock import sleep
from passerby.events import ConnectionEstablished, RoomClosed, SessionRenewed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from passerby.clock import Clock
    from passerby.events import Resume
    from passerby.guests import Guests, LiveGuest
    from passerby.matchmaking import Matchmaking
    from passerby.models import Guest
    from passerby.ports import Link, SessionStore
    from passerby.rooms import Rooms
    from passerby.sessions import SessionWriter
    from passerby.stats import Statistics

log = logging.getLogger(__name__)


class Periods(Struct, frozen=True):
    """How long things last, in seconds; see Settings of the same names."""

    grace: float
    renew_before: float
    refresh_interval: float
    session_sweep: float


class Presence:
    """Who is here. Everything but `end` happens at once, without waiting for any store."""

    def __init__(
        self,
        *,
        guests: Guests,
        rooms: Rooms,
        matchmaking: Matchmaking,
        stats: Statistics,
        store: SessionStore,
        writer: SessionWriter,
        clock: Clock,
        periods: Periods,
    ) -> None:
        """Tie the services together."""
        self._guests = guests
        self._rooms = rooms
        self._matchmaking = matchmaking
        self._stats = stats
        self._store = store
        self._writer = writer
        self._clock = clock
        self._periods = periods
        self._tasks: set[asyncio.Task[None]] = set()

    # ── coming ────────────────────────────────────────────────────────────────────────────────────

    def connect(
        self, guest: Guest, link: Link, socket_id: str, token_expires: float, resume: Resume | None
    ) -> LiveGuest:
        """A client of `guest` is connected: greet it, replace an older one, go on where it was."""
        before = self._guests.live(guest.session_id)
        replaced = before.link if before is not None else None
        was_away = before is not None and replaced is None
        if before is not None:
            self._rooms.hold(before)
        live = self._guests.attach(guest, link, socket_id)
        live.token_expires = token_expires
        if replaced is not None:
            replaced.close("replaced", "You are connected from another place now")
        link.send(
            ConnectionEstablished(
                user_id=live.guest.id,
                username=live.guest.username,
                socket_id=socket_id,
                is_guest=True,
                session_id=live.guest.session_id,
                room=self._rooms.summary(live),
            )
        )
        self._stats.greet(live)
        if live.member is not None:
            self._rooms.back(live, was_away=was_away)
            self._spawn(self._rooms.resume(live, link, resume))
        elif live.notice is not None:
            link.send(live.notice)
        elif resume is not None:
            link.send(_too_late(resume, live.guest.id))
        live.notice = None
        ticket = self._matchmaking.restore(live)
        if ticket is not None:
            self._spawn(self._matchmaking.enter(live, ticket))
        return live

    # ── going ─────────────────────────────────────────────────────────────────────────────────────

    def disconnect(self, live: LiveGuest, link: Link) -> None:
        """The connection is lost: open the grace window. A connection already replaced means nothing."""
        if live.link is not link:
            return
        self._guests.detach(live)
        self._rooms.away(live)
        ticket = self._matchmaking.suspend(live)
        if ticket is not None:
            self._spawn(self._matchmaking.withdraw(ticket))
        live.grace = self._clock.call_later(self._periods.grace, lambda: self._expire(live))

    def _expire(self, live: LiveGuest) -> None:
        self._rooms.expire(live)
        self._guests.forget(live)
        self._writer.remove(live.guest.session_id)
        self._spawn(self._removed())

    async def _removed(self) -> None:
        """Tell of it once it is counted: statistics that are due in this very moment still find the session."""
        await self._writer.flush()
        self._stats.changed()

    async def end(self, guest: Guest) -> None:
        """End the session by the guest's own wish: room closed, token refused, when this returns."""
        live = self._guests.live(guest.session_id)
        if live is not None:
            ticket = self._matchmaking.suspend(live)
            if ticket is not None:
                self._spawn(self._matchmaking.withdraw(ticket))
            self._rooms.leave(live, "session_ended")
            link = live.link
            if link is not None:
                self._guests.detach(live)
            self._guests.forget(live)
            if link is not None:
                link.close("session_ended", "Your session has ended")
        self._writer.remove(guest.session_id)
        await self._writer.flush()
        self._stats.changed()

    # ── time passing ──────────────────────────────────────────────────────────────────────────────

    async def refresh(self) -> None:
        """For ever: keep connected guests' sessions alive, and renew tokens before they end."""
        while True:
            await sleep(self._clock, self._periods.refresh_interval)
            soon = self._clock.time() + self._periods.renew_before
            for live in list(self._guests.online.values()):
                self._guests.seen(live)
                self._writer.save(live.guest)
                if live.token_expires <= soon:
                    token, expires_at = self._guests.renew(live)
                    live.send(SessionRenewed(token=token, expires_at=expires_at))

    async def sweep(self) -> None:
        """For ever: remove what has expired from a store that does not do so by itself."""
        while True:
            await sleep(self._clock, self._periods.session_sweep)
            removed = await self._store.sweep()
            if removed:
                log.info("expired sessions removed", extra={"count": removed})
                self._stats.changed()

    async def settle(self) -> None:
        """Wait for what was begun in the background."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._writer.flush()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())


def _too_late(resume: Resume, own_id: str) -> RoomClosed:
    """What a guest is told whose room has gone while they were, when nobody is left to say how."""
    partner = resume.room_id.removeprefix(f"{own_id}_").removesuffix(f"_{own_id}")
    return RoomClosed(
        user_id=partner,
        username="",
        message="The conversation has ended",
        reason="partner_offline",
        undelivered=[],
    )
