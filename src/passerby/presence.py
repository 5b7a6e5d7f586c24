"""Connects and disconnects guests. Only this module keeps session, search and room consistent.

connected ──connection lost──▶ away (grace) ──back in time──▶ connected
    │                            │
    └──────── end ───────────────┴──grace over──▶ session removed, room closed, token refused
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.background import ANSWER_LIMIT
from passerby.chat.events import RoomClosed
from passerby.clock import sleep, time_limit
from passerby.errors import Code
from passerby.guests.events import ConnectionEstablished, SessionRenewed
from passerby.live import FEATURES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from passerby.background import Background
    from passerby.chat.events import Resume
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.guests.sessions import Guests
    from passerby.guests.store import SessionStore
    from passerby.guests.writer import SessionWriter
    from passerby.live import Link, LiveGuest, Room
    from passerby.matching.matchmaking import Matchmaking
    from passerby.models import Guest, Limits
    from passerby.stats.statistics import Statistics

log = logging.getLogger(__name__)

_SLICE: Final = 0.1
"""Seconds between two parts of a refresh, at least: ten guests are due in it if there are 6,000, and their sessions
are written together."""


_UNSURE: Final = 1.0
"""Seconds until a grace window is looked at again that may have ended while this node seemed to be gone."""


class Periods(Struct, frozen=True):
    """Durations in seconds; see the settings of the same names."""

    grace: float
    renew_before: float
    refresh_interval: float
    session_sweep: float


class Presence:
    """The connected guests. All methods except `end` act at once, without waiting for a store."""

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
        background: Background,
        periods: Periods,
        limits: Limits,
    ) -> None:
        """Connect the services with each other."""
        self._guests = guests
        self._rooms = rooms
        self._matchmaking = matchmaking
        self._stats = stats
        self._store = store
        self._writer = writer
        self._clock = clock
        self._periods = periods
        self._limits = limits
        self._background = background
        self.is_sure: Callable[[], bool] = _sure
        """Returns whether no other node can have taken guests over. While it is not, no grace window ends."""
        self.ended: Callable[[str], None] = _nobody_knows
        """Called with the session id of a guest who is gone."""
        self.end_elsewhere: Callable[[str], Awaitable[bool]] = _nowhere
        """Lets another node end the session of a guest who lives there; returns whether it has. If it has not, no node
        brings back what ends here now. Raises UnavailableError when that node does not answer."""
        self._is_stopping = False
        self._due: OrderedDict[LiveGuest, tuple[float, str]] = OrderedDict()
        """When each connected guest's session is refreshed next (monotonic seconds), the first of them first; and when
        the guest was last seen."""

    # ── connecting ────────────────────────────────────────────────────────────────────────────────

    def connect(
        self,
        guest: Guest,
        link: Link,
        socket_id: str,
        token_expires: float,
        resume: Resume | None,
        *,
        features: Iterable[str] = (),
    ) -> LiveGuest:
        """Handle a new connection of `guest`: send the greeting, replace an older connection, resume room and search.

        `features` are those of the client, see `auth.features`.
        If anything fails, the guest is treated as disconnected and the exception is raised; the caller closes the
        connection, so that its client reconnects.
        """
        before = self._guests.live(guest.session_id)
        replaced = before.link if before is not None else None
        # From before this process.
        is_back = before.is_recalled if before is not None else guest.connected_at is not None
        if is_back:
            self._background.attempt("numbering of later rooms", self._begin_after, guest)
        if before is not None:
            self._rooms.hold(before)
        live = self._guests.attach(guest, link, socket_id)
        live.features = FEATURES.intersection(features)
        self._rooms.returned(live, resume)
        self._refresh_later(live)
        try:
            self._greet(live, link, socket_id, token_expires, replaced)
            self._go_on(live, link, resume)
            if is_back:
                self._matchmaking.recall_later(live, has_met=resume is not None)
        except Exception:
            self.disconnect(live, link)
            raise
        return live

    def _greet(self, live: LiveGuest, link: Link, socket_id: str, token_expires: float, replaced: Link | None) -> None:
        live.token_expires = token_expires
        if replaced is not None:
            replaced.close(Code.REPLACED)
        link.send(
            ConnectionEstablished(
                user_id=live.guest.id,
                username=live.guest.username,
                socket_id=socket_id,
                is_guest=True,
                session_id=live.guest.session_id,
                room=self._rooms.summary(live),
                limits=self._limits,
                at=self._rooms.at,
            )
        )
        self._stats.greet(live)

    def _go_on(self, live: LiveGuest, link: Link, resume: Resume | None) -> None:
        if live.member is not None:
            self._rooms.back(live, reloaded=resume is not None and resume.reloaded)
            self._resume(live, link, resume)
        elif live.notice is not None:
            link.send(live.notice)
        elif resume is not None:
            link.send(_too_late(resume, live.guest.id))
        live.notice = None
        self._matchmaking.restore(live)

    def _resume(self, live: LiveGuest, link: Link, resume: Resume | None) -> None:
        """A member without a replay gets no messages. If the replay fails, the client must reconnect."""
        self._background.start(
            "resumption of a room",
            self._rooms.resume(live, link, resume),
            lambda: link.close(Code.SERVER_ERROR) if live.link is link else None,
        )

    # ── a way back ────────────────────────────────────────────────────────────────────────────────

    def undo(self, live: LiveGuest, resume: Resume) -> None:
        """Bring a guest back into the conversation that they have just left, and end their search, in one step.

        Raises ConflictError (undo_impossible).
        """
        member = self._rooms.restore(live, resume)
        self._matchmaking.drop(live)
        for one, position in ((member, resume), (member.partner, None)):
            link = one.live.link
            if link is not None and not one.attached:
                self._resume(one.live, link, position)

    # ── no way back ───────────────────────────────────────────────────────────────────────────────

    def block(self, live: LiveGuest) -> Awaitable[None]:
        """End a guest's conversation, also one that somebody could come back to. The two never meet again.

        All of that is done at once; what is returned waits until both sessions are in the store, or it has failed.
        Raises ConflictError (not_in_room).
        """
        partner = self._rooms.partner(live)
        # First: when the room has ended, the two may be on their way to other nodes.
        self._matchmaking.never_again(live, partner)
        self._rooms.part(live)
        return self._writer.flush()

    # ── guests of an earlier process ──────────────────────────────────────────────────────────────

    def recall(self, guest: Guest, left: float | None = None) -> LiveGuest:
        """A guest of an earlier process, who is not live in this one, is away, as if the connection was just lost.

        `left` is what is left of the grace window in seconds (≥ 0), None for all of it.
        """
        live = self._guests.recall(guest)
        self._expect(live, self._periods.grace if left is None else left)
        return live

    def _begin_after(self, guest: Guest) -> None:
        """A guest of an earlier process may have been in a room that was opened as late as they were last seen."""
        self._rooms.begin_after(int(datetime.fromisoformat(guest.last_seen).timestamp() * 1000))

    # ── guests who move between nodes ─────────────────────────────────────────────────────────────

    def release(self, live: LiveGuest) -> None:
        """A guest who is in no room moves to another node, with the search and what is left of the grace window."""
        self._due.pop(live, None)
        self._rooms.gone(live)
        self._matchmaking.release(live)
        self._guests.release(live)
        self._writer.release(live.guest.session_id)
        self._stats.changed()

    def adopt(self, live: LiveGuest, grace: float, epoch: int) -> None:
        """A guest who is in no room has moved here. Without a link they are away for `grace` seconds at most.

        Rooms that are opened from now on have a greater epoch than `epoch`, which is the last one of the other node.
        """
        self._rooms.begin_after(epoch)
        self._guests.adopt(live)
        self._matchmaking.adopt(live)
        if live.link is not None:
            self._refresh_later(live)
            return
        live.guest.is_online, live.guest.socket_id = False, None
        self._expect(live, grace)
        self._matchmaking.suspend(live)

    def grace_left(self, live: LiveGuest) -> float:
        """Return the seconds that are left of a guest's grace window: all of it if they are connected."""
        if live.grace is None:
            return self._periods.grace
        return max(0.0, live.grace_until - self._clock.monotonic())

    def interrupt(self, live: LiveGuest) -> None:
        """End a guest's connection, so that the client reconnects at once, and resumes."""
        link = live.link
        if link is not None:
            self.disconnect(live, link)
            link.close(Code.SERVER_SHUTTING_DOWN)

    def evict(self, live: LiveGuest) -> None:
        """Another node has taken the guest over, while this one seemed to be gone: forget them, and their room."""
        if live.member is not None:
            self.lose(live.member.room)
            return
        link, live.link = live.link, None
        self.release(live)
        if link is not None:
            link.close(Code.SERVER_SHUTTING_DOWN)

    def lose(self, room: Room) -> None:
        """Another node has taken the room over: forget it and its members, who reconnect and find it there."""
        lives = [member.live for member in room.members]
        links = [live.link for live in lives]
        for live in lives:
            live.link = None
        self._background.attempt("loss of a room", self._rooms.lose, room)
        for live, link in zip(lives, links, strict=True):
            live.link = link
            self.evict(live)

    # ── disconnecting ─────────────────────────────────────────────────────────────────────────────

    def disconnect(self, live: LiveGuest, link: Link) -> None:
        """The connection is lost: start the grace window. Ignored if the connection was already replaced."""
        if live.link is not link:
            return
        self._guests.detach(live)
        self._due.pop(live, None)
        self._expect(live, self._periods.grace)
        self._background.attempt("notification of an absence", self._rooms.away, live)
        self._background.attempt("suspending a search", self._matchmaking.suspend, live)

    def _expect(self, live: LiveGuest, seconds: float) -> None:
        live.grace_until = self._clock.monotonic() + seconds
        live.grace = self._background.call_later("end of a grace window", seconds, lambda: self._expire(live))

    def stop(self) -> None:
        """All connections are about to be closed, for a process that follows: that ends no grace window."""
        self._is_stopping = True
        self._rooms.stop()

    def _expire(self, live: LiveGuest) -> None:
        if self._is_stopping:
            return
        if not self.is_sure():
            self._expect(live, _UNSURE)
            return
        self._background.attempt("end of a room", self._rooms.expire, live)
        self._forget(live)

    def _forget(self, live: LiveGuest) -> None:
        self._rooms.gone(live)
        self._guests.forget(live)
        self.ended(live.guest.session_id)
        self._writer.remove(live.guest.session_id)
        self._background.start("removal of a session", self._removed())

    async def _removed(self) -> None:
        """Notify the statistics after the removal: a broadcast before it would still count the session."""
        await self._writer.flush()
        self._stats.changed()

    async def end(self, guest: Guest, code: Code = Code.SESSION_ENDED) -> None:
        """End the session, at the guest's request or a moderator's. Then the room is closed and the token is refused.

        `code` is the reason for which a connection is closed.

        Raises UnavailableError when the guest lives on another node, which does not answer.
        """
        live = self._guests.live(guest.session_id)
        if live is None:
            if await self.end_elsewhere(guest.session_id):
                return
            live = self._guests.live(guest.session_id)
        if live is None:
            self._guests.forget_unused(guest.session_id)
            self._writer.remove(guest.session_id)
        else:
            self._background.attempt("suspending a search", self._matchmaking.suspend, live)
            self._background.attempt("end of a room", self._rooms.leave, live, "session_ended")
            link = live.link
            if link is not None:
                self._guests.detach(live)
                self._due.pop(live, None)
            self._forget(live)
            if link is not None:
                link.close(code)
        await self._writer.flush()
        self._stats.changed()

    # ── periodic work ─────────────────────────────────────────────────────────────────────────────

    async def refresh(self) -> None:
        """Wait until guests are due, then keep their sessions alive and renew tokens that expire soon.

        However many have connected at the same time, the writes are spread over the interval: only so many guests are
        refreshed in a slice as make all of them in an interval. The others wait, and are apart from then on.
        """
        interval = self._periods.refresh_interval
        part = min(_SLICE, interval)
        await sleep(self._clock, max(part, self._next_due() - self._clock.monotonic()))
        now = self._clock.monotonic()
        for _ in range(math.ceil(len(self._due) * part / interval)):
            if self._next_due() > now:
                break
            live, (_, last_seen) = self._due.popitem(last=False)
            self._background.attempt("refreshing a session", self._refresh, live, last_seen)
            self._refresh_later(live)

    def _next_due(self) -> float:
        """Return when somebody may be due next, in monotonic seconds. Who connects later is due later."""
        for due, _ in self._due.values():
            return due
        return self._clock.monotonic() + self._periods.refresh_interval

    def _refresh_later(self, live: LiveGuest) -> None:
        self._due[live] = (self._clock.monotonic() + self._periods.refresh_interval, live.guest.last_seen)
        self._due.move_to_end(live)

    def _refresh(self, live: LiveGuest, last_seen: str) -> None:
        if live.guest.last_seen == last_seen:  # else it has changed, so it was written
            self._guests.seen(live)
            self._writer.save(live.guest)
        if self._guests.token_left(live) <= self._periods.renew_before:
            token, expires_at = self._guests.renew(live)
            live.send(SessionRenewed(token=token, expires_at=expires_at))

    async def sweep(self) -> None:
        """Wait an interval, then remove expired sessions from stores that do not expire them themselves."""
        await sleep(self._clock, self._periods.session_sweep)
        async with time_limit(self._clock, ANSWER_LIMIT):
            removed = await self._store.sweep()
        if removed:
            log.info("expired sessions removed", extra={"count": removed})
            self._stats.changed()


def _sure() -> bool:
    """There are no other nodes."""
    return True


def _nobody_knows(_session_id: str) -> None:
    """Do nothing: there are no other nodes."""


async def _nowhere(_session_id: str) -> bool:
    """Return False: there are no other nodes."""
    return False


def _too_late(resume: Resume, own_id: str) -> RoomClosed:
    """Return the event for a guest who returns after the room has ended and the partner is gone."""
    partner = resume.room_id.removeprefix(f"{own_id}_").removesuffix(f"_{own_id}")
    return RoomClosed(
        user_id=partner,
        username="",
        message="The conversation has ended",
        reason="partner_offline",
        undelivered=[],
    )
