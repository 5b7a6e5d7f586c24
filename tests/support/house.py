"""All services, built by `passerby.assembly`, but without sockets: clients are recording links."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from passerby.assembly import Assembly, adapters
from passerby.background import Background
from passerby.chat.events import MessageSent, Resume
from passerby.chat.text import clean_text
from passerby.models import Wish
from passerby.settings import Settings
from tests.support.clock import ManualClock, turns
from tests.support.friction import NO_FRICTION
from tests.support.links import RecordingLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from passerby.chat.events import ChatError
    from passerby.live import LiveGuest
    from passerby.models import Guest
    from passerby.stats.events import RealtimeStats

SECRET = "a secret of the tests, long enough for HS256"
SESSION_TTL = 7200.0
GRACE = 20.0
RING = 30.0
CALL_RETURN = 5.0
_NO_WISH = Wish()


class House(Assembly):
    """All services with one ManualClock. Pass an adapter by name to use it instead of the one in memory."""

    clock: ManualClock

    def __init__(
        self, *, clock: ManualClock | None = None, stand_ins: dict[str, Any] | None = None, **settings: object
    ) -> None:
        clock = clock or ManualClock()
        chosen = Settings(**{"jwt_secret": SECRET, "stats_frames": 2000, **NO_FRICTION, **settings})  # type: ignore[arg-type]
        background = Background(clock)
        own = adapters(chosen, clock, background)
        for name, adapter in (stand_ins or {}).items():
            setattr(own, name, adapter)
        self.published: list[tuple[float, RealtimeStats, list[LiveGuest]]] = []
        self.changes = 0
        super().__init__(chosen, clock, own, background, self._publish)

    def _changed(self, live: LiveGuest) -> None:
        self.changes += 1
        super()._changed(live)

    def _publish(self, event: RealtimeStats, guests: list[LiveGuest]) -> None:
        self.published.append((self.clock.monotonic(), event, list(guests)))
        for live in guests:
            live.send(event)

    def lives(self) -> list[LiveGuest]:
        """Return all guests who are connected or in the grace window."""
        return list(self.guests._by_session.values())

    @asynccontextmanager
    async def repeating(self, step: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Run one background loop during the context. Other loops, and all timers, go on after it."""
        others = set(self.background._loops)
        self.background.repeat("a loop under test", step)
        own = self.background._loops - others
        try:
            await turns()
            yield
        finally:
            for loop in own:
                loop.cancel()
            await asyncio.wait(own)
            await self.background.settle()

    async def settle(self) -> None:
        """Wait until all started work is done."""
        async with asyncio.timeout(30):
            for _ in range(2):
                await self.background.settle()
                await self.writer.flush()
                await turns()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.run(seconds)
        await self.settle()

    async def newcomer(self, name: str | None = None) -> Person:
        """Create a session without a connection."""
        guest, token = await self.guests.create(name, None, None, None)
        return Person(self, guest, token)

    async def visitor(self, name: str | None = None, features: tuple[str, ...] = ()) -> Person:
        """Create a session and connect."""
        person = await self.newcomer(name)
        person.features = features
        await person.connect()
        return person

    async def pair(
        self, first: str = "Anna", second: str = "Berta", features: tuple[str, ...] = ()
    ) -> tuple[Person, Person]:
        """Return two connected guests in one room; events up to here are removed from their links."""
        one, other = await self.visitor(first, features), await self.visitor(second, features)
        await one.search()
        await other.search()
        assert one.live.member is not None
        assert one.live.member.partner is other.live.member
        one.link.clear()
        other.link.clear()
        return one, other


class Person:
    """A guest and their client."""

    def __init__(self, house: House, guest: Guest, token: str) -> None:
        self.house = house
        self.id = guest.id
        self.session_id = guest.session_id
        self.username = guest.username
        self.token = token
        self.link = RecordingLink()
        self.features: tuple[str, ...] = ()
        """Those of the client."""
        self._connections = 0

    @property
    def live(self) -> LiveGuest:
        live = self.house.guests.live(self.session_id)
        assert live is not None, f"{self.username} is not live"
        return live

    async def connect(self, resume: Resume | None = None) -> RecordingLink:
        """Connect, and wait for the resulting work."""
        await self.arrive(resume)
        await self.house.settle()
        return self.link

    async def arrive(self, resume: Resume | None = None) -> RecordingLink:
        """Connect without waiting for the resulting work."""
        guest, expires = await self.house.guests.authenticate(self.token)
        self._connections += 1
        self.link = RecordingLink()
        self.house.presence.connect(
            guest, self.link, f"socket_{self._connections}", expires, resume, features=self.features
        )
        return self.link

    def drop(self) -> None:
        """Lose the connection."""
        self.link.lost = True
        self.house.presence.disconnect(self.live, self.link)

    async def leave_for_good(self) -> None:
        """Lose the connection and stay away until the grace window is over."""
        self.drop()
        await self.house.pass_time(GRACE)

    async def search(self, wish: Wish = _NO_WISH) -> None:
        await self.house.matchmaking.search(self.live, wish)

    async def cancel(self) -> None:
        await self.house.matchmaking.cancel(self.live)

    def say(self, text: str, client_id: str | None = None) -> MessageSent:
        """Send a text message; return the acknowledgement."""
        answers: list[MessageSent | ChatError] = []
        content = clean_text(text, self.house.limits.text_length)
        self.house.rooms.send(self.live.membership(), "text", content, client_id, answers.append)
        assert len(answers) == 1, "exactly one acknowledgement"
        assert isinstance(answers[0], MessageSent)
        return answers[0]

    def resume_from(self, seq: int) -> Resume:
        """Return the `resume` of a client that has everything up to `seq` of the current room."""
        member = self.live.member
        assert member is not None
        return Resume(room_id=member.room.id, epoch=member.room.epoch, seq=seq)
