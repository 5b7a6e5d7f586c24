"""Random actions of guests and networks on the whole server with a real Valkey, while everything else fails too.

Between any two commands to Redis the process dies and begins again, the connection is lost with a command or with its
answer, all data is removed, Redis is gone and comes back. One failure at a time loses nothing.

EXAMPLES is the number of random sequences.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from redis.asyncio import Redis

from passerby.calls.events import (
    EndCall,
    IceCandidate,
    ReportConnected,
    SendAnswer,
    SendCandidate,
    SendOffer,
    SessionDescription,
)
from passerby.chat.events import ChatCleared, Matched, MessageSent, Resume, RoomClosed, RoomRestored
from passerby.chat.log_redis import TRIM
from passerby.clock import sleep
from passerby.errors import ConflictError, PasserbyError, UnauthorizedError, UnavailableError
from passerby.guests.events import ConnectionEstablished
from passerby.live import UNDO
from passerby.matching.events import MatchCancelled, MatchError, MatchSearching
from passerby.models import Guest, Message
from passerby.redis.client import State
from tests.support.aging import AGE
from tests.support.clock import ManualClock, turns
from tests.support.failures import Failure, Failures
from tests.support.house import GRACE, House, Person
from tests.support.valkey import valkey
from tests.test_everything import Client, RoomKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from passerby.events import Event
    from passerby.models import StoredFile

T = TypeVar("T")

EXAMPLES = int(os.environ.get("EXAMPLES", "12"))
MANY = 100
STEPS = 40
LOG_MESSAGES = 6
CROWD = 4
WHO = st.integers(0, CROWD - 1)
Fault = tuple[Failure, int] | None
"""What happens, and after how many commands."""
FAULT = st.one_of(
    st.none(), st.none(), st.tuples(st.sampled_from(Failure), st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 6]))
)
WHEN = st.sampled_from(["at once", "at once, without their place", "later"])
"""When clients come back after the end of the process."""
SDP = "v=0\r\na=ice-ufrag:abcd\r\n"
TICK = 0.5
"""Seconds that pass for the server at once: fewer than anything lasts there."""
WRITTEN = 0.2
"""Seconds after which all changes are in Redis: sessions and notes are not written at once."""
LONGEST = 30.0
"""Seconds after which anything that is waited for should have happened."""
FOREVER = {b"alive", b"passerby:marker", b"nodes", b"active_user_count"}
"""The keys of a process without guests, and its node's."""

_LOOK = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, content = redis.call('TYPE', key).ok, false
  if kind == 'string' then content = redis.call('GET', key)
  elseif kind == 'hash' then content = redis.call('HGETALL', key)
  elseif kind == 'list' then content = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then content = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1) end
  found[#found + 1] = {key, redis.call('PTTL', key), content}
end
return found
"""


class Visitor(Client):
    """A client that also searches, and resends, as the web client does after it has reconnected."""

    def __init__(self, person: Person, left_at: float) -> None:
        super().__init__(person)
        self.searching = False
        self.has_met = False
        """Whether the last search has ended with a partner."""
        self.left_at = left_at
        """When the connection was lost, in monotonic seconds."""
        self.leaving: RoomKey | None = None
        """The room that it has left, but the server may not know it."""
        self.left: tuple[RoomKey, int, Message | None, int, bool] | None = None
        """What it knew of the last room that it was in."""
        self.is_ending = False
        """Whether it has ended the session, but the server may not know it."""
        self.acknowledged: dict[RoomKey, dict[str, int]] = {}
        """The numbers of its messages that the server has acknowledged, by their ids."""
        self.told: set[str] = set()
        """The ids of its messages that were not delivered, as it was told."""
        self.copies: dict[str, str] = {}
        """The ids of received messages by their client ids."""
        self.excused: set[RoomKey] = set()
        """Rooms of which two things failed at the same time, or that somebody has left."""
        self.closed: list[tuple[RoomKey, RoomClosed]] = []
        self.numbers: dict[RoomKey, dict[int, str]] = {}

    def _take(self, event: Event | Message) -> None:  # noqa: C901, PLR0912 - a table would be longer
        if isinstance(event, MatchSearching):
            assert not self.has_met, "a search that the client has not begun"
            self.searching = True
        elif isinstance(event, Matched | MatchCancelled | MatchError):
            self.searching, self.has_met = False, isinstance(event, Matched)
        elif isinstance(event, RoomRestored):
            assert self.room is None
            self._return((event.room_id, event.epoch))
        elif isinstance(event, MessageSent) and self.room is not None:
            self.acknowledged.setdefault(self.room, {})[event.message_id] = event.seq
            self._note(event.seq, event.message_id)
        elif isinstance(event, Message) and self.room is not None:
            self._note(event.seq, event.id)
            if event.sender_id == self.person.id:
                self.acknowledged.setdefault(self.room, {})[event.id] = event.seq
            else:
                assert self.copies.setdefault(str(event.client_id), event.id) == event.id, "a message was doubled"
        elif isinstance(event, RoomClosed):
            assert event.message != "A part of the conversation was lost"
            self.told |= {lost.message_id for lost in event.undelivered}
            if self.room is not None:
                self.closed.append((self.room, event))
        elif isinstance(event, ChatCleared) and self.room is not None:
            self.excused.add(self.room)
        before = self.room
        super()._take(event)
        if isinstance(event, ConnectionEstablished):
            if event.room is not None:
                self.searching = False
                # A room that it knew nothing of, or whose end was undone: it gets only what the partner has said.
                self.knows_its_place = self.knows_its_place and self.room == before
            elif not self.knows_its_place:  # it has not said that it was in one, so it is not told of the end
                self.leave()
                self.has_met = False

    def leave(self) -> None:
        if self.room is not None:
            self.left = self.room, self.seq, self.newest_from_partner, self.confirmed, self.told_of_gap
        super().leave()

    def _return(self, room: RoomKey) -> None:
        """Go on where it has left."""
        assert self.left is not None
        assert self.left[0] == room
        self._enter(room)
        _, self.seq, self.newest_from_partner, self.confirmed, self.told_of_gap = self.left
        self.searching = False

    def _note(self, seq: int, message_id: str) -> None:
        assert self.room is not None
        numbers = self.numbers.setdefault(self.room, {})
        assert numbers.setdefault(seq, message_id) == message_id, "a number was used twice"


class FailingMachine(RuleBasedStateMachine):
    """See the module's docstring."""

    socket: str
    happened: ClassVar[Counter[Failure]]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(time.time())
        self.people: list[Visitor] = []
        self.count = 0
        self.steps = 0
        self.coming_back = "at once"
        """When clients come back after the end of the process."""
        self.returning: list[Visitor] = []
        self.files: dict[str, tuple[StoredFile, bytes, int]] = {}
        """The uploaded files, their content, and how often all data had been removed before."""
        self.epochs: dict[str, int] = {}
        self.client: Redis
        self.house: House
        self.failures: Failures
        self.run(self._open())

    async def _open(self) -> None:
        self.client = Redis(unix_socket_path=self.socket)
        await self.client.flushall()
        await self._begin()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.everybody_goes()
        finally:
            self.run(self._close())
            self.loop.close()

    async def _close(self) -> None:
        self.failures.die()
        await self._bury()
        await self.client.aclose()

    # ── processes ─────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, stumble: int | None = None) -> None:
        """Begin a new process. It dies after `stumble` commands, and another one begins."""
        self.clock.advance(0.1)  # no process begins at once: epochs of rooms are milliseconds
        self.house = House(clock=self.clock, redis_url=f"unix://{self.socket}", room_log_messages=LOG_MESSAGES)
        assert self.house.adapters.redis is not None
        self.redis = self.house.adapters.redis
        self.failures = Failures(self.redis.watch, self.happened)
        self.failures.died = self._died
        if stumble is not None:
            self.failures.arm(Failure.DEATH_BEFORE, stumble)
        for visitor in self.people:
            visitor.person.house = self.house
        self.house.start()
        await self.quiet()
        await self.steady()
        self.failures.disarm()

    def _died(self) -> None:
        """At this command: nothing reaches a client any more."""
        for visitor in self.people:
            visitor.person.link.lost = True

    async def _bury(self) -> None:
        """Nothing of the dead process runs on."""
        await self.failures.end()
        await turns()  # what has been started is no coroutine that nobody has awaited
        for timer in list(self.house.background.timers):
            timer.cancel()
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.house.background._is_stopped = True

    async def _follow(self, stumble: int | None = None) -> None:
        """The process has died: another one begins."""
        await self._bury()
        self.read()
        for visitor in self.people:
            if not visitor.connected and visitor.room is not None:
                visitor.excused.add(visitor.room)  # a connection, and the process
            elif visitor.connected:
                self._gone(visitor)
                if self.coming_back != "later":
                    self.returning.append(visitor)
                if self.coming_back == "at once, without their place":
                    visitor.knows_its_place = False
        await self._begin(stumble)

    def _gone(self, visitor: Visitor) -> None:
        visitor.connected, visitor.left_at = False, self.clock.monotonic()

    async def quiet(self) -> None:
        """Wait until the process waits for nothing but time."""
        idle = 0
        for _ in range(10_000):
            await turns(12)
            if self.failures.is_busy and not self.failures.is_dead:
                idle = 0
                await asyncio.sleep(0.0002)
            elif (idle := idle + 1) == 2:
                return
        raise AssertionError("it is never quiet")

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, also for the server."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 1e-6 and not self.failures.is_dead:
            tick = min(TICK, left)
            until = self.clock.monotonic() + tick
            while (due := self.clock.next_due()) is not None and due <= until and not self.failures.is_dead:
                self.clock.advance(max(0.0, due - self.clock.monotonic()))
                await self.quiet()
            self.clock.advance(max(0.0, until - self.clock.monotonic()))
            await self.client.eval(AGE, 0, round(tick * 1000))
            await self.quiet()

    async def steady(self) -> None:
        """Wait until Redis is in use and has everything; or the process dies, and the one after it is so far."""
        waited = 0.0
        while not self.failures.is_dead and not self.failures.is_cut_off:
            if self.failures.is_empty:  # it is noticed when it is looked at
                self.failures.is_empty = False
            elif self.redis.watch.state is State.NORMAL and self.house.recovery._gate._open.is_set():
                break
            assert waited < LONGEST, f"Redis is {self.redis.watch.state.value}"
            await self.pass_time(TICK)
            waited += TICK
        if self.failures.is_dead:
            await self._follow()

    def _arm(self, fault: Fault) -> None:
        if fault is not None and not self.failures.is_cut_off:
            self.failures.arm(*fault)

    def step(self, work: Coroutine[Any, Any, None], fault: Fault = None) -> None:
        """Do something, and what follows from it, while something fails; check the invariants."""
        self._arm(fault)
        self.run(self._step(work))
        self.check()

    async def _step(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        waited = 0.0
        await self.quiet()
        while not task.done() and not self.failures.is_dead:
            assert waited < LONGEST, "it is never answered"
            await self.pass_time(TICK)
            waited += TICK
        if task.done():
            task.result()
        await self.settle()

    def let_pass(self, seconds: float) -> None:
        """Let time pass; check the invariants."""
        self.run(self._let_pass(seconds))
        self.check()

    async def _let_pass(self, seconds: float) -> None:
        await self.pass_time(seconds)
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything has happened that needs no time; clients read their events."""
        await self.quiet()
        for _ in range(10):
            await self.steady()
            self.read()
            is_busy = self._follow_up()
            while self.returning:
                is_busy = True
                await self._connect(self.returning.pop())
            if not is_busy:
                return
            await self.quiet()

    def read(self) -> None:
        for visitor in self.people:
            if not visitor.lags:
                visitor.read(visitor.unread)

    def _follow_up(self) -> bool:
        """Do what clients do by themselves; return whether there was anything."""
        busy = False
        for visitor in self.people:
            if visitor.connected and visitor.person.link.closed is not None:
                self._gone(visitor)
            if not visitor.connected or visitor.unread:
                continue
            if visitor.leaving is not None:
                if visitor.room == visitor.leaving:
                    self._leave(visitor)
                    busy = True
                elif not self.failures.is_dead:
                    visitor.leaving = None
        return busy

    # ── guests ────────────────────────────────────────────────────────────────────────────────────

    def pick(self, who: int, *, connected: bool = True) -> Visitor | None:
        found = [
            visitor
            for visitor in self.people
            if visitor.connected is connected and not visitor.ended and not visitor.is_ending
        ]
        return found[who % len(found)] if found else None

    @initialize()
    def open_the_house(self) -> None:
        self.everybody_comes_and_searches()

    @rule()
    def everybody_comes_and_searches(self) -> None:
        while sum(not visitor.ended for visitor in self.people) < CROWD:
            made: list[Visitor] = []
            self.step(self._come(made))
            if not made:
                return
        for visitor in self.people:
            if not visitor.connected and not visitor.ended:
                self.step(self._connect(visitor))
        self.step(self._search(*(visitor for visitor in self.people if visitor.connected)))

    async def _come(self, made: list[Visitor]) -> None:
        person = await self.house.newcomer()
        person.features = (UNDO,)
        if not self.failures.is_dead:
            made.append(Visitor(person, self.clock.monotonic()))
            self.people.append(made[0])

    @rule(who=WHO, forgotten=st.sampled_from(["nothing", "nothing", "place", "room"]), fault=FAULT)
    def connect(self, who: int, forgotten: str, fault: Fault) -> None:
        visitor = self.pick(who, connected=False)
        if visitor is not None:
            if forgotten == "room":
                visitor.leave()
            if forgotten != "nothing":  # then it gets what it has not confirmed
                visitor.knows_its_place = False
            self.step(self._connect(visitor), fault)

    async def _connect(self, visitor: Visitor) -> None:
        """Connect as the web client does: search again, send again, and leave again, if there is no answer yet."""
        resume = visitor.resume()
        if resume is None:
            visitor.seq = 0
            visitor.shown.clear()
        before = visitor.left_at
        try:
            await visitor.person.arrive(resume)
        except UnavailableError:
            assert self.redis.watch.state is not State.NORMAL
            return
        except UnauthorizedError:
            if not self.failures.is_dead:
                assert visitor.is_ending or self.clock.monotonic() - before >= GRACE - 0.01, "a guest was logged out"
                visitor.ended = True
            return
        assert not visitor.ended
        if self.failures.is_dead:
            visitor.person.link.lost = True
        visitor.connected, visitor.read_up_to = True, 0
        if visitor.is_ending:
            await self._end(visitor)
            return
        await self.quiet()
        if self.failures.is_dead:
            return
        visitor.read(visitor.unread)
        if visitor.room is None and visitor.searching:
            await self._search(visitor)
        await self._resend(visitor)

    @rule(who=WHO, fault=FAULT)
    def disconnect(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._disconnect(visitor), fault)

    async def _disconnect(self, visitor: Visitor) -> None:
        self._gone(visitor)
        visitor.person.drop()

    @rule(who=WHO, fault=FAULT)
    def lose_and_return_in_one_instant(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._lose_and_return(visitor), fault)

    async def _lose_and_return(self, visitor: Visitor) -> None:
        await self._disconnect(visitor)
        await self._connect(visitor)

    @rule(who=WHO, fault=FAULT)
    def connect_a_second_time(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self._gone(visitor)
            self.step(self._connect(visitor), fault)

    @rule(who=WHO, lags=st.booleans())
    def read_later(self, who: int, lags: bool) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            visitor.lags = lags

    @rule(who=WHO, fault=FAULT)
    def end(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._end(visitor), fault)

    async def _end(self, visitor: Visitor) -> None:
        visitor.is_ending = True
        self._excuse(visitor)
        live = visitor.person.live
        await self.house.presence.end(live.guest)
        if not self.failures.is_dead:
            visitor.ended, visitor.connected = True, False

    def _excuse(self, visitor: Visitor) -> None:
        """A visitor goes of their own will: the partner is told that, but not what they have not read."""
        live = self.house.guests.live(visitor.person.session_id)
        if live is not None and live.member is not None:
            room = live.member.room
            for one in self.people:
                one.excused.add((room.id, room.epoch))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, GRACE]), fault=FAULT)
    def time_passes(self, seconds: float, fault: Fault) -> None:
        self._arm(fault)
        self.let_pass(seconds)

    # ── searching and talking ─────────────────────────────────────────────────────────────────────

    @rule(who=WHO, fault=FAULT)
    def search(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._search(visitor), fault)

    async def _search(self, *chosen: Visitor) -> None:
        for visitor in chosen:
            visitor.has_met = False
        problems = await asyncio.gather(*(visitor.person.search() for visitor in chosen), return_exceptions=True)
        for problem in problems:
            assert problem is None or isinstance(problem, ConflictError), problem

    @rule(who=WHO, fault=FAULT)
    def cancel(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._cancel(visitor), fault)

    async def _cancel(self, visitor: Visitor) -> None:
        with contextlib.suppress(ConflictError):
            await visitor.person.cancel()

    @rule(who=WHO, times=st.sampled_from([1, 2, 3, LOG_MESSAGES + 2]), apart=st.booleans(), fault=FAULT)
    def say(self, who: int, times: int, apart: bool, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._say(visitor, times, apart=apart), fault)

    async def _say(self, visitor: Visitor, times: int, *, apart: bool) -> None:
        for _ in range(times):
            if visitor.room is not None and not self.failures.is_dead:
                self.count += 1
                client_id = f"c{self.count}"
                visitor.unanswered[client_id] = f"text {self.count}"
                self._send(visitor, client_id)
                if apart:
                    await turns(2)

    @rule(who=WHO, times=st.integers(1, 3), fault=FAULT)
    def both_say(self, who: int, times: int, fault: Fault) -> None:
        visitor = self.pick(who)
        partner = None if visitor is None else self._partner(visitor)
        if visitor is not None and partner is not None and partner.connected:
            self.step(self._both_say(visitor, partner, times), fault)

    async def _both_say(self, visitor: Visitor, partner: Visitor, times: int) -> None:
        for _ in range(times):
            await self._say(visitor, 1, apart=False)
            await self._say(partner, 1, apart=True)

    @rule(who=WHO, fault=FAULT)
    def say_again_what_was_not_answered(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._resend(visitor), fault)

    async def _resend(self, visitor: Visitor) -> None:
        for client_id in list(visitor.unanswered):
            self._send(visitor, client_id)

    def _send(self, visitor: Visitor, client_id: str) -> None:
        live = self.house.guests.live(visitor.person.session_id)
        member = None if live is None else live.member
        if member is not None and (member.room.id, member.room.epoch) == visitor.room:
            self.house.rooms.send(member, "text", visitor.unanswered[client_id], client_id, None)

    @rule(who=WHO, share=st.sampled_from([0.3, 1.0]))
    def read_some(self, who: int, share: float) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            visitor.read(int(visitor.unread * share) or 1)

    @rule(who=WHO, fault=FAULT)
    def confirm(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None and visitor.newest_from_partner is not None:
            self.step(self._confirm(visitor), fault)

    async def _confirm(self, visitor: Visitor) -> None:
        assert visitor.newest_from_partner is not None
        if visitor.person.live.member is not None:
            self.house.rooms.confirm(visitor.person.live, visitor.newest_from_partner.id)

    @rule(who=WHO, fault=FAULT)
    def leave(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None and visitor.room is not None:
            self.step(self._leave_room(visitor), fault)

    async def _leave_room(self, visitor: Visitor) -> None:
        visitor.read(visitor.unread)
        if visitor.room is not None:
            self._leave(visitor)

    def _leave(self, visitor: Visitor) -> None:
        visitor.leaving = visitor.room
        self._excuse(visitor)
        self.house.rooms.leave(visitor.person.live, "user_left")
        visitor.leave()

    @rule(who=WHO, pause=st.sampled_from([0.0, 0.0, 0.05, 1.0]), fault=FAULT)
    def leave_by_mistake(self, who: int, pause: float, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None and visitor.room is not None:
            self.step(self._leave_and_come_back(visitor, pause), fault)

    async def _leave_and_come_back(self, visitor: Visitor, pause: float) -> None:
        visitor.read(visitor.unread)
        room, seq = visitor.room, visitor.seq
        if room is None:
            return
        visitor.leaving = room
        self._excuse(visitor)
        self.house.rooms.leave(visitor.person.live, "user_left", undo=True)
        visitor.leave()
        await sleep(self.clock, pause)
        with contextlib.suppress(ConflictError):
            self.house.presence.undo(visitor.person.live, Resume(*room, seq))
            visitor.leaving = None

    def _partner(self, visitor: Visitor) -> Visitor | None:
        live = self.house.guests.live(visitor.person.session_id)
        if live is None or live.member is None:
            return None
        session_id = live.member.partner.guest.session_id
        return next(other for other in self.people if other.person.session_id == session_id)

    # ── files and calls ───────────────────────────────────────────────────────────────────────────

    @rule(who=WHO, size=st.sampled_from([1, 1000, 70_000]), fault=FAULT)
    def upload(self, who: int, size: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._upload(visitor, size), fault)

    async def _upload(self, visitor: Visitor, size: int) -> None:
        with contextlib.suppress(PasserbyError):
            upload = self.house.files.begin(visitor.person.live, name="a.txt", claimed="", size=size, voice=False)
            data = random.Random(size).randbytes(size).hex().encode()[:size]
            try:
                await upload.write(data)
                file = await upload.finish(upload.room.id)
            except PasserbyError:
                await upload.abort()
                raise
            if not self.failures.is_dead:
                self.files[file.id] = file, data, self._losses

    @rule(who=WHO, steps=st.integers(1, 4), fault=FAULT)
    def call(self, who: int, steps: int, fault: Fault) -> None:
        visitor = self.pick(who)
        partner = None if visitor is None else self._partner(visitor)
        if visitor is not None and partner is not None and partner.connected:
            self.step(self._call(visitor, partner, steps), fault)

    async def _call(self, visitor: Visitor, partner: Visitor, steps: int) -> None:
        calls, caller, callee = self.house.calls, visitor.person.live, partner.person.live
        candidate = SendCandidate(candidate=IceCandidate("candidate:1 1 udp 1 192.0.2.1 9 typ host"))
        signals: list[Callable[[], None]] = [
            partial(calls.offer, caller, SendOffer(offer=SessionDescription("offer", SDP), type="audio")),
            partial(calls.answer, callee, SendAnswer(answer=SessionDescription("answer", SDP))),
            partial(calls.candidate, callee, candidate),
        ]
        with contextlib.suppress(PasserbyError):
            for signal in signals[:steps]:
                signal()
                await turns(1)
            if steps == 4 and caller.member is not None:
                call = calls._calls.get(caller.member.room)
                if call is not None:
                    calls.connected(caller, ReportConnected(call_id=call.id))

    @rule(who=WHO, fault=FAULT)
    def hang_up(self, who: int, fault: Fault) -> None:
        visitor = self.pick(who)
        if visitor is not None:
            self.step(self._hang_up(visitor), fault)

    async def _hang_up(self, visitor: Visitor) -> None:
        with contextlib.suppress(PasserbyError):
            self.house.calls.hang_up(visitor.person.live, EndCall, None)

    # ── failures ──────────────────────────────────────────────────────────────────────────────────

    @rule(failure=st.sampled_from(Failure), commands=st.integers(0, 40))
    def something_fails(self, failure: Failure, commands: int) -> None:
        """At one of the commands that the server sends by itself, or at a later one."""
        self._arm((failure, commands))
        self.let_pass(3.0)

    @rule(
        who=WHO,
        times=st.integers(1, 3),
        failure=st.sampled_from([Failure.DEATH_BEFORE, Failure.DEATH_AFTER, Failure.ANSWER_LOST]),
        commands=st.integers(0, 2),
        when=WHEN,
    )
    def something_fails_at_a_message(self, who: int, times: int, failure: Failure, commands: int, when: str) -> None:
        visitor = self.pick(who)
        if visitor is not None and visitor.room is not None:
            self._calm_down()
            self.coming_back = when
            self.step(self._say(visitor, times, apart=True), (failure, commands))

    @rule(when=WHEN)
    def clients_come_back(self, when: str) -> None:
        self.coming_back = when

    @rule()
    def redis_is_back(self) -> None:
        self.failures.come_back()
        self.let_pass(0)

    @rule(
        gently=st.booleans(),
        stumble=st.sampled_from([None, None, 0, 1, 2, 3, 5, 8, 12, 16, 20]),
        pause=st.sampled_from([0.0, 0.0, 2.0]),
        fault=FAULT,
    )
    def restart(self, gently: bool, stumble: int | None, pause: float, fault: Fault) -> None:
        """The process ends (`gently`: by SIGTERM) between two steps; the next one perhaps dies while it begins."""
        self._calm_down()
        if gently and fault is not None and fault[0].kills:  # else it would be two failures
            self._arm(fault)
        self.run(self._restart(stumble, pause, gently=gently))
        self.check()

    async def _restart(self, stumble: int | None, pause: float, *, gently: bool) -> None:
        if gently:
            await self._stop()
        self.failures.die()
        if pause:
            await self.client.eval(AGE, 0, round(pause * 1000))
            self.clock.advance(pause)
        await self._follow(stumble)
        await self.settle()

    async def _stop(self) -> None:
        self.house.prepare_stop()
        for visitor in self.people:
            if visitor.connected:
                visitor.person.drop()
        task = asyncio.ensure_future(self.house.stop())
        while not task.done() and not self.failures.is_dead:
            await self.pass_time(0.1)

    # ── invariants ────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """Check what holds whenever it is quiet."""
        self._check_members()
        self._check_clients()
        self._check_closings()
        self.steps += 1
        if self.steps % 3 == 0:  # else the process never dies before it has written everything
            self.run(self._look_into_redis())

    async def _look_into_redis(self) -> None:
        failures = None
        while failures is not self.failures:  # else another process has begun
            failures = self.failures
            await self._let_pass(WRITTEN)
        if not self.failures.is_cut_off:
            self.failures.is_held = True
            await self._check_redis()
            self.failures.is_held = False

    def _check_members(self) -> None:
        rooms: dict[str, list[str]] = {}
        for live in self.house.lives():
            member, guest = live.member, live.guest
            assert guest.in_chat is (member is not None)
            assert guest.is_searching is (live.ticket is not None)
            assert not (guest.in_chat and guest.is_searching), "searching while in a room"
            if member is None:
                assert guest.connected_user is None
                continue
            assert member.live is live
            assert member.partner.partner is member
            assert member.partner.live is not live, "in a room with oneself"
            assert member.partner.live.member is member.partner, "the partner is in another room"
            assert self.house.guests.live(member.partner.guest.session_id) is member.partner.live, "the partner is gone"
            rooms.setdefault(member.room.id, []).append(guest.id)
        assert all(len(set(guests)) == 2 for guests in rooms.values())
        assert set(rooms) == set(self.house.rooms._open)
        for room in self.house.rooms._open.values():
            assert room.epoch >= self.epochs.get(room.id, 0), "a room of an earlier time"
            self.epochs[room.id] = room.epoch
        online = {live.guest.id for live in self.house.lives() if live.link is not None}
        assert online == set(self.house.guests.online)
        assert {room.id for room in self.house.calls._calls} <= set(rooms)

    def _check_clients(self) -> None:
        for visitor in self.people:
            live = self.house.guests.live(visitor.person.session_id)
            assert not (visitor.ended and live is not None), "an ended session is live"
            assert visitor.connected is (live is not None and live.link is visitor.person.link)
            if not visitor.connected or visitor.unread or not visitor.knows_its_place:
                continue
            assert live is not None
            if live.member is None:
                assert visitor.room is None, "the client does not know that the room has ended"
                assert not visitor.searching or live.ticket is not None, "a search is lost"
            else:
                room = live.member.room
                assert visitor.room == (room.id, room.epoch), "the client does not know the room"
                assert visitor.seq == room.seq, "messages are missing"
                assert not visitor.unanswered, "messages are not answered"

    def _check_closings(self) -> None:
        """Who is told that the partner is gone is also told which acknowledged messages the partner has not got."""
        for visitor in self.people:
            for room, event in visitor.closed:
                if room in visitor.excused:
                    continue
                partner = next((one for one in self.people if one.person.id == event.user_id), None)
                if partner is None or partner.told_of_gap:
                    continue
                for message_id in visitor.acknowledged.get(room, {}):
                    assert message_id in partner.received or message_id in visitor.told, "a message is lost"
            visitor.closed.clear()

    async def look(self) -> dict[bytes, Any]:
        """Return all that Redis has, and check that all of it expires."""
        found: dict[bytes, Any] = {}
        for key, left, content in await self.client.eval(_LOOK, 0):
            assert left > 0, f"{key!r} never expires"
            found[key] = content
        return found

    async def _check_redis(self) -> None:
        found = await self.look()
        open_rooms = self.house.rooms._open
        for room in open_rooms.values():
            prefix = b"{room:%s}:" % room.id.encode()
            state = _pairs(found[prefix + b"state"])
            assert (int(state[b"epoch"]), int(state[b"seq"])) == (room.epoch, room.seq)
            kept = min(room.seq, LOG_MESSAGES)
            assert kept <= len(found.get(prefix + b"log", ())) <= min(room.seq, kept + TRIM)
        ids = {room_id.encode() for room_id in open_rooms}
        assert {key[6 : key.index(b"}")] for key in found if key.startswith(b"{room:")} == ids
        listed = [room for key, rooms in found.items() if key.startswith(b"rooms:") for room in rooms]
        assert sorted(listed) == sorted(ids), "the indexes of rooms"
        sessions = {key.removeprefix(b"guest:"): value for key, value in found.items() if key.startswith(b"guest:")}
        assert set(found.get(b"sessions", ())) == set(sessions), "the index of sessions"
        for session_id, value in sessions.items():
            guest = msgspec.json.decode(value, type=Guest)
            live = self.house.guests.live(session_id.decode())
            is_online = live is not None and live.link is not None
            assert guest.is_online is is_online, "a session of nobody is online" if guest.is_online else "not online"
            assert guest.in_chat is (live is not None and live.member is not None)
        for visitor in self.people:
            assert not visitor.ended or visitor.person.session_id.encode() not in sessions
        await self._check_files(found)

    @property
    def _losses(self) -> int:
        return self.happened[Failure.FLUSH] + self.happened[Failure.RESTART]

    async def _check_files(self, found: dict[bytes, Any]) -> None:
        stored = {
            key.removeprefix(b"file:").decode() for key in found if key.startswith(b"file:") and key.count(b":") == 1
        }
        for file_id, (file, data, losses) in list(self.files.items()):
            room = self.house.rooms.find(file.room_id)
            if room is None and self.house.rooms.has(file.room_id, file.epoch):
                continue  # a member may still come back
            if room is None or room.epoch != file.epoch:
                del self.files[file_id]
                assert file_id not in stored, "a file of no room"
            elif file_id in stored:
                assert b"".join([part async for part in self.house.files.read(file, 0, file.size)]) == data
                assert await self.house.files.of_member(file_id, room.members[0].live) == file
            else:
                assert self._losses > losses, "a file is lost"
                del self.files[file_id]

    # ── in the end ────────────────────────────────────────────────────────────────────────────────

    @rule()
    def after_a_while_the_counts_are_right(self) -> None:
        self._calm_down()
        self.let_pass(15.0)
        self.run(self._recount())

    def _calm_down(self) -> None:
        self.failures.disarm()
        self.redis_is_back()

    async def _recount(self) -> None:
        house, found = self.house, await self.look()
        online = len(house.guests.online)
        assert online == sum(visitor.connected for visitor in self.people)
        assert found[b"active_user_count"] == b"%d" % online
        nodes = found[b"nodes"]
        tallies = [_pairs(found[b"node:" + node]) for node in nodes if b"node:" + node in found]
        assert [int(tally[b"online"]) for tally in tallies] == [online]
        assert [int(tally[b"pairs"]) for tally in tallies] == [house.rooms.count]
        assert [int(tally[b"chatting"]) for tally in tallies] == [
            sum(live.member is not None for live in house.guests.online.values())
        ]
        assert house.matchmaking.waiting <= 1, "they do not find each other"
        seekers = {guest_id.encode() for guest_id in house.matchmaking._seekers}
        waiting = set(found.get(b"{mm}:waiting", ()))
        assert seekers <= waiting, "a search is lost"
        # The searches of a process that has died are kept, for guests who may come back.
        assert not (waiting - seekers) & {guest_id.encode() for guest_id in house.guests.online}
        assert seekers <= set(_pairs(found.get(b"{mm}:tickets", [])))
        stats = await house.stats.stats()
        assert stats.total_users == len(found.get(b"sessions", ()))
        assert stats.online_users == online
        assert stats.connected_users == house.rooms.count

    @rule()
    def everybody_goes(self) -> None:
        """After the grace window nothing is left of them."""
        self._calm_down()
        for visitor in self.people:
            if visitor.connected:
                self.step(self._disconnect(visitor))
        self.let_pass(GRACE + 1)
        assert self.house.lives() == []
        self.let_pass(60.0)
        for key, value in self.run(self.look()).items():
            if key.startswith(b"guest:"):  # nobody has learned that there is this session
                assert msgspec.json.decode(value, type=Guest).connected_at is None
            assert not key.startswith((b"{room:", b"rooms:", b"{mm}:", b"file:")) or _is_part_of_a_file(key), key
        lifetime = max(self.house.settings.session_ttl, self.house.settings.file_ttl) + 1000
        self.run(self.client.eval(AGE, 0, round(lifetime * 1000)))  # a process may have died while somebody came
        self.let_pass(3.0)
        found = self.run(self.look())
        left = {key for key in found if not key.startswith((b"node:", b"about:")) and key not in FOREVER}
        assert left == set(), "something is left of those who have gone"
        assert found[b"active_user_count"] == b"0"
        assert len([key for key in found if key.startswith(b"node:")]) == 1
        for visitor in self.people:
            visitor.ended = True
        self.people.clear()


def _is_part_of_a_file(key: bytes) -> bool:
    """A process may have died while it was uploaded."""
    return key.startswith(b"file:") and key.count(b":") == 2


def _pairs(parts: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_one_failure_at_a_time_loses_nothing() -> None:
    class Machine(FailingMachine):
        socket = ""
        happened: ClassVar = Counter[Failure]()

    server = valkey()
    happened = Machine.happened
    logging.disable()  # of all those failures
    with asyncio.Runner() as runner:
        Machine.socket = str(runner.run(server.__aenter__()).path)
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    phases=[Phase.generate],  # whom Redis matches is random, so another run is another one
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            logging.disable(logging.NOTSET)
            runner.run(server.__aexit__(None, None, None))
    # A few random examples need not have every failure; many have.
    assert set(happened) == set(Failure) if EXAMPLES >= MANY else happened, "these examples say little"
