"""All services together, as `passerby.app` puts them, but without sockets: people come through recording links."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from passerby.adapters.memory import MemoryCounters, MemoryMatchQueue, MemoryRoomLog, MemorySessionStore
from passerby.calls import Calls
from passerby.events import Resume, SendMessage
from passerby.guests import Guests, LiveGuest
from passerby.matchmaking import Matchmaking
from passerby.presence import Periods, Presence
from passerby.rooms import Rooms
from passerby.sessions import SessionWriter
from passerby.stats import Statistics
from passerby.tokens import Tokens
from tests.support.clock import ManualClock, turns
from tests.support.links import RecordingLink

if TYPE_CHECKING:
    from passerby.events import MessageSent, RealtimeStats
    from passerby.models import Guest
    from passerby.ports import MatchQueue, RoomLog, SessionStore

SECRET = "a secret of the tests, long enough for HS256"
SESSION_TTL = 7200.0
GRACE = 20.0
RING = 30.0
CALL_RETURN = 5.0


class House:
    """The services on one ManualClock. Pass an adapter to put it in place of the one in memory."""

    def __init__(
        self,
        *,
        clock: ManualClock | None = None,
        store: SessionStore | None = None,
        queue: MatchQueue | None = None,
        log: RoomLog | None = None,
        log_messages: int = 200,
        grace: float = GRACE,
        sample: int = 50,
        frames: int = 2000,
        relay_only: bool = False,
    ) -> None:
        self.clock = clock or ManualClock()
        self.store = store or MemorySessionStore(self.clock)
        self.queue = queue or MemoryMatchQueue()
        self.log = log or MemoryRoomLog(log_messages, 262_144)
        self.writer = SessionWriter(self.store, SESSION_TTL)
        self.published: list[tuple[float, RealtimeStats, list[LiveGuest]]] = []
        self.changes = 0
        tokens = Tokens(
            self.clock,
            secret=SECRET,
            previous=None,
            issuer="passerby",
            audience="passerby-guests",
            lifetime=SESSION_TTL,
        )
        self.guests = Guests(
            self.store,
            tokens,
            self.clock,
            session_ttl=SESSION_TTL,
            changed=self._changed,
            is_ended=self.writer.is_removing,
        )
        self.rooms = Rooms(
            self.log,
            self.clock,
            text_limit=1000,
            grace=grace,
            changed=self.guests.touch,
        )
        self.calls = Calls(self.clock, ring=RING, come_back=CALL_RETURN, relay_only=relay_only)
        self.rooms.on_close.append(self.calls.room_closed)
        self.rooms.on_back.append(self.calls.back)
        self.matchmaking = Matchmaking(
            self.queue,
            self.rooms,
            self.clock,
            find=self.guests.online.get,
            changed=self.guests.touch,
        )
        self.stats = Statistics(
            self.guests,
            self.rooms,
            self.store,
            MemoryCounters(self.clock),
            self.clock,
            node="node_test",
            sample=sample,
            interval=1.0,
            frames=frames,
            publish=self._publish,
        )
        self.presence = Presence(
            guests=self.guests,
            rooms=self.rooms,
            matchmaking=self.matchmaking,
            stats=self.stats,
            store=self.store,
            writer=self.writer,
            clock=self.clock,
            periods=Periods(grace=grace, renew_before=1800, refresh_interval=60, session_sweep=600),
        )

    def _changed(self, live: LiveGuest) -> None:
        self.changes += 1
        self.writer.save(live.guest)
        self.stats.changed()

    def _publish(self, event: RealtimeStats, guests: list[LiveGuest]) -> None:
        self.published.append((self.clock.monotonic(), event, list(guests)))
        for live in guests:
            live.send(event)

    def lives(self) -> list[LiveGuest]:
        """Return all who are connected, or away within the grace."""
        return list(self.guests._by_session.values())

    async def settle(self) -> None:
        """Let everything that was begun come to rest."""
        async with asyncio.timeout(30):
            await self.presence.settle()
            await turns()
            await self.presence.settle()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.run(seconds)
        await self.settle()

    async def newcomer(self, name: str | None = None) -> Person:
        """Begin a session, not connected yet."""
        guest, token = await self.guests.create(name, None, None, None)
        return Person(self, guest, token)

    async def visitor(self, name: str | None = None) -> Person:
        """Begin a session and connect."""
        person = await self.newcomer(name)
        await person.connect()
        return person

    async def pair(self, first: str = "Anna", second: str = "Berta") -> tuple[Person, Person]:
        """Return two who are connected and in one room, with what led there cleared from their links."""
        one, other = await self.visitor(first), await self.visitor(second)
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
        self._connections = 0

    @property
    def live(self) -> LiveGuest:
        live = self.house.guests.live(self.session_id)
        assert live is not None, f"{self.username} is not live"
        return live

    async def connect(self, resume: Resume | None = None) -> RecordingLink:
        """Connect, and let what follows happen."""
        await self.arrive(resume)
        await self.house.settle()
        return self.link

    async def arrive(self, resume: Resume | None = None) -> RecordingLink:
        """Connect, with everything that this sets going still to happen."""
        guest, expires = await self.house.guests.authenticate(self.token)
        self._connections += 1
        self.link = RecordingLink()
        self.house.presence.connect(guest, self.link, f"socket_{self._connections}", expires, resume)
        return self.link

    def drop(self) -> None:
        """Lose the connection."""
        self.link.lost = True
        self.house.presence.disconnect(self.live, self.link)

    async def leave_for_good(self) -> None:
        """Lose the connection, and stay away until the grace is over."""
        self.drop()
        await self.house.pass_time(GRACE)

    async def search(self) -> None:
        await self.house.matchmaking.search(self.live)

    async def cancel(self) -> None:
        await self.house.matchmaking.cancel(self.live)

    def say(self, text: str, client_id: str | None = None) -> MessageSent:
        """Send a text message; return the acknowledgement."""
        answers: list[MessageSent] = []
        self.house.rooms.send(self.live, SendMessage(type="text", content=text, client_id=client_id), answers.append)
        assert len(answers) == 1, "exactly one acknowledgement"
        return answers[0]

    def resume_from(self, seq: int) -> Resume:
        """Return what a client sends that has everything up to `seq` of the present room."""
        member = self.live.member
        assert member is not None
        return Resume(room_id=member.room.id, epoch=member.room.epoch, seq=seq)
