"""Adapters that fail at random calls, before or after the operation: invariants after they have recovered."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from passerby.assembly import adapters
from passerby.background import Background
from passerby.chat.events import Resume
from passerby.errors import PasserbyError
from passerby.models import Message
from passerby.settings import Settings
from tests.support.clock import ManualClock
from tests.support.failing import BrokenError
from tests.support.house import GRACE, SESSION_TTL, House, Person

if TYPE_CHECKING:
    from random import Random

    from passerby.live import LiveGuest

GUESTS = 4
STEPS = 40
ODDS = 0.15


class Flaky:
    """Wraps an adapter: while `on`, any call may fail. Calls that are not awaited fail before the operation."""

    def __init__(self, adapter: Any, random: Random) -> None:  # noqa: ANN401 - any port
        self._adapter = adapter
        self._random = random
        self.on = True
        self.failed = 0

    def _may_fail(self) -> None:
        if self.on and self._random.random() < ODDS:
            self.failed += 1
            raise BrokenError

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute
        method = getattr(self._adapter, name)
        if not callable(method):
            return method

        async def call_and_wait(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any method
            self._may_fail()
            answer = await method(*arguments, **named)
            self._may_fail()
            return answer

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any method
            self._may_fail()
            return method(*arguments, **named)

        return call_and_wait if inspect.iscoroutinefunction(method) else call


class Shaken:
    """A few guests with random actions while adapters fail; their clients reconnect when disconnected."""

    def __init__(self, random: Random) -> None:
        self.random = random
        clock = ManualClock()
        own = adapters(Settings(), clock, Background(clock))
        self.log = own.log
        self.flaky = [Flaky(own.store, random), Flaky(own.queue, random), Flaky(own.log, random)]
        self.house = House(
            clock=clock,
            stand_ins=dict(zip(("store", "queue", "log"), self.flaky, strict=True)),
        )
        self.people: list[Person] = []
        self.sent: dict[tuple[str, str, int], list[str]] = {}
        """Acknowledged texts, by author and room."""
        self.read: dict[tuple[str, str, int], list[str]] = {}
        """Texts as the recipient's client shows them, by author and room: each `seq` once."""
        self.seqs: dict[tuple[str, str, int], int] = {}
        """The highest received seq of each client, by guest id and room."""

    async def gather(self) -> None:
        self.well(True)
        self.people = [await self.house.visitor(f"Guest{number}") for number in range(GUESTS)]
        self.well(False)

    def well(self, is_well: bool) -> None:
        for adapter in self.flaky:
            adapter.on = not is_well

    # ── clients ───────────────────────────────────────────────────────────────────────────────────

    def listen(self) -> None:
        """Let each client read its events; it ignores messages that it already has (by `seq`)."""
        for person in self.people:
            for event in person.link.sent:
                if isinstance(event, Message):
                    self._take(person, event)
            person.link.clear()

    def _take(self, person: Person, message: Message) -> None:
        live = self.house.guests.live(person.session_id)
        if live is None or live.member is None or message.sender_id == person.id:
            return
        room = live.member.room
        place = (person.id, room.id, room.epoch)
        if message.seq > self.seqs.get(place, 0):
            self.seqs[place] = message.seq
            self.read.setdefault((message.sender_id, room.id, room.epoch), []).append(str(message.content))

    def notice_the_cut_off(self) -> None:
        """Report closed connections as disconnected to the server, as sockets do at once."""
        for person in self.people:
            live = self.house.guests.live(person.session_id)
            if live is not None and live.link is person.link and person.link.closed is not None:
                person.link.lost = True
                self.house.presence.disconnect(live, person.link)

    async def reconnect(self) -> None:
        """Reconnect all disconnected guests, as their clients do."""
        self.notice_the_cut_off()
        for person in self.people:
            live = self.house.guests.live(person.session_id)
            if live is not None and live.link is None:
                await self.arrive(person)

    async def arrive(self, person: Person) -> None:
        resume = None
        live = self.house.guests.live(person.session_id)
        if live is not None and live.member is not None:
            room = live.member.room
            seq = self.seqs.get((person.id, room.id, room.epoch), 0)
            resume = Resume(room_id=room.id, epoch=room.epoch, seq=seq)
        try:
            await person.arrive(resume)
        except (BrokenError, PasserbyError):
            person.link.lost = True

    # ── actions ───────────────────────────────────────────────────────────────────────────────────

    async def step(self) -> None:
        self.notice_the_cut_off()
        person = self.random.choice(self.people)
        live = self.house.guests.live(person.session_id)
        if live is None:
            return
        act = self.random.choice(("search", "search", "say", "say", "say", "cancel", "leave", "drop", "arrive", "wait"))
        with contextlib.suppress(BrokenError, PasserbyError):  # the gateway would send it to the guest
            await self._do(person, live, act)
        if self.random.random() < 0.5:
            await self.house.settle()
        self.listen()

    async def _do(self, person: Person, live: LiveGuest, act: str) -> None:
        if act == "arrive" or live.link is None:
            await self.arrive(person)
        elif act == "search":
            await person.search()
        elif act == "say" and live.member is not None:
            self._say(person)
        elif act == "cancel":
            await person.cancel()
        elif act == "leave":
            self.house.rooms.leave(live, "user_left")
        elif act == "drop":
            person.drop()
        elif act == "wait":
            await self.house.pass_time(1)

    def _say(self, person: Person) -> None:
        member = person.live.member
        assert member is not None
        text = f"text {sum(map(len, self.sent.values()))}"
        person.say(text)
        self.sent.setdefault((person.id, member.room.id, member.room.epoch), []).append(text)

    async def heal(self) -> None:
        self.well(True)
        for _ in range(3):
            await self.house.settle()
            self.listen()
            await self.reconnect()
        await self.house.clock.run(5)
        await self.house.settle()
        self.listen()

    # ── invariants ────────────────────────────────────────────────────────────────────────────────

    def check_rooms(self) -> None:
        house = self.house
        lives = house.lives()
        members = [live.member for live in lives if live.member is not None]
        assert len({id(member) for member in members}) == len(members) == 2 * house.rooms.count
        for member in members:
            assert member.live.member is member
            assert member.partner.live.member is member.partner
            assert member.partner.live is not member.live
            assert house.rooms.find(member.room.id) is member.room
            assert member.live.ticket is None
        assert house.rooms.online_members == sum(member.live.link is not None for member in members)
        assert house.matchmaking.waiting == sum(live.ticket is not None for live in lives)
        for live in lives:
            assert live.guest.is_searching == (live.ticket is not None)
            assert live.guest.in_chat == (live.member is not None)

    def check_messages(self) -> None:
        """In open rooms with both members connected, all acknowledged messages were received, once and in order."""
        for (author, room_id, epoch), texts in self.sent.items():
            room = self.house.rooms.find(room_id)
            if room is not None and room.epoch == epoch:
                assert self.read.get((author, room_id, epoch), []) == texts, room_id

    async def check_searches(self) -> None:
        """Every searching guest can be matched."""
        searching = [live for live in self.house.lives() if live.ticket is not None]
        for _ in searching:
            newcomer = await self.house.visitor()
            await newcomer.search()
            await self.house.settle()
            assert newcomer.live.member is not None
        assert self.house.matchmaking.waiting == 0

    async def check_the_end(self) -> None:
        """When all guests have left, no data of them remains."""
        for live in self.house.lives():
            if live.link is not None:
                self.house.presence.disconnect(live, live.link)
        await self.house.pass_time(GRACE + 2)
        assert self.house.lives() == []
        assert (self.house.rooms.count, self.house.rooms.online_members) == (0, 0)
        await self.house.pass_time(60)  # so long, conversations that have ended can be reported
        assert self.house.background.timers == set()
        await self.house.pass_time(SESSION_TTL)
        await self.house.adapters.store.sweep()
        assert await self.house.adapters.store.count() == 0
        assert self.log.logs == {}  # type: ignore[attr-defined]  # the one in memory


@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # no shrinking: a shorter run has other random failures
    suppress_health_check=[HealthCheck.too_slow],
)
@given(random=st.randoms(use_true_random=False))
@pytest.mark.filterwarnings("default")
async def test_whatever_fails_nothing_is_lost_and_nobody_is_stuck(random: Random) -> None:
    shaken = Shaken(random)
    await shaken.gather()
    for _ in range(STEPS):
        await shaken.step()
        shaken.check_rooms()
    await shaken.heal()
    shaken.check_rooms()
    shaken.check_messages()
    await shaken.check_searches()
    await shaken.check_the_end()
