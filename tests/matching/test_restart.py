"""Searches outlive the process, with the queue in Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.background import Background
from passerby.chat.events import Matched
from passerby.errors import UnauthorizedError
from passerby.guests.store_memory import MemorySessionStore
from passerby.matching.events import MatchNoUsers, MatchSearching
from passerby.matching.matchmaking import RENEWAL
from passerby.matching.queue_redis import KEPT, LEASE, RedisMatchQueue
from passerby.models import Ticket, Wish
from tests.support.aging import age
from tests.support.clock import ManualClock
from tests.support.house import GRACE, House, Person
from tests.support.lossy import LossyRedis
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.redis.client import Redis
    from tests.support.lossy import Fate


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with valkey() as server, connected(server.url) as redis:
        yield redis


class World:
    """What outlives a process, and the process that runs now."""

    def __init__(self, redis: Redis) -> None:
        self.real = redis
        self.redis = LossyRedis(redis)
        self.clock = ManualClock()
        self.store = MemorySessionStore(self.clock)
        self.house = self._begin()

    def _begin(self) -> House:
        queue = RedisMatchQueue(cast("Redis", self.redis), self.clock, Background(self.clock))
        return House(clock=self.clock, stand_ins={"store": self.store, "queue": queue})

    async def crash(self) -> None:
        """End the process at once, and begin another."""
        await self.house.settle()  # sessions are written, and nothing else is told
        for timer in list(self.house.background.timers):
            timer.cancel()
        self.house = self._begin()

    async def come_back(self, *people: Person) -> None:
        for person in people:
            person.house = self.house
            await person.connect()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(3):
            await self.real.command("PING")
            await self.house.settle()

    async def pass_time(self, seconds: float) -> None:
        await age(self.real, seconds)
        await self.house.pass_time(seconds)
        await self.settle()

    async def mend(self) -> None:
        """Redis works again, and the watch has noticed."""
        self.redis.fates.clear()
        self.redis.is_up = True
        await cast("RedisMatchQueue", self.house.adapters.queue).resync()
        await self.renew()

    async def renew(self) -> None:
        """Let the loop that renews searches run once."""
        async with self.house.repeating(self.house.matchmaking.renew):
            await self.pass_time(RENEWAL)


@pytest.fixture
def world(redis: Redis) -> World:
    return World(redis)


def search_of(person: Person) -> Ticket:
    ticket = person.live.ticket
    assert ticket is not None
    return ticket


async def test_a_search_goes_on_at_its_place_after_a_crash(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    began = search_of(anna).entered_at
    await world.crash()
    await world.pass_time(5)
    await world.come_back(anna)

    assert search_of(anna).entered_at == began
    assert anna.live.guest.is_searching
    assert anna.link.of(MatchSearching)
    berta = await world.house.visitor("Berta")
    await berta.search()
    assert anna.link.of(Matched)


async def test_so_does_a_search_whose_guest_was_away(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    began = search_of(anna).entered_at
    anna.drop()
    await world.settle()
    await world.crash()
    await world.pass_time(GRACE - 1)
    await world.come_back(anna)

    assert search_of(anna).entered_at == began


async def test_whoever_comes_back_too_late_does_not_search(world: World) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    anna.drop()
    await world.settle()
    await berta.search()
    await world.crash()
    await world.pass_time(GRACE)
    await world.come_back(anna)
    await world.pass_time(LEASE + KEPT - GRACE)
    await world.come_back(berta)

    assert (anna.live.ticket, berta.live.ticket) == (None, None)


async def test_whoever_had_cancelled_or_was_in_a_room_does_not_search(world: World) -> None:
    anna, berta, carla = [await world.house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    await anna.search()
    await berta.search()
    world.house.rooms.leave(anna.live, "user_left")
    await carla.search()
    await carla.cancel()
    await world.settle()
    await world.crash()
    await world.come_back(anna, berta, carla)

    assert [person.live.ticket for person in (anna, berta, carla)] == [None] * 3


async def test_two_who_were_matched_when_the_process_died_search_on_and_meet(world: World) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    found = await world.house.adapters.queue.enter(Ticket("ticket_b", berta.id, 1.0))
    assert found == search_of(anna)
    await world.crash()
    await world.come_back(anna, berta)

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member


async def test_nobody_meets_a_guest_of_the_dead_process_before_they_are_back(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    await world.crash()
    berta = await world.house.visitor("Berta")
    await berta.search()
    assert berta.live.ticket is not None
    await world.come_back(anna)

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member


async def test_searches_are_renewed(world: World) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    for _ in range(10):
        await world.renew()
    await berta.search()

    assert anna.live.member is not None


async def test_searches_that_redis_has_lost_enter_again_unheard(world: World, redis: Redis) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    await redis.command("FLUSHALL")
    anna.link.clear()
    await world.renew()

    assert await world.house.adapters.queue.size() == 1
    assert not anna.link.of(MatchNoUsers)
    await berta.search()
    assert anna.live.member is not None


@pytest.mark.parametrize("fate", ["unsent", "unanswered", "refused"])
async def test_no_guest_sees_that_redis_has_failed(world: World, fate: Fate) -> None:
    anna, berta, carla = [await world.house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    for person in (anna, berta):
        world.redis.fates.append(fate)
        await person.search()
    world.redis.is_up = False
    await carla.search()
    carla.drop()
    await world.settle()
    await world.mend()

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member
    await world.crash()
    await world.come_back(carla)
    assert carla.live.guest.is_searching


async def leave_no_search(world: World, person: Person) -> None:
    """Nobody can find a search that has ended, and no process that follows goes on with it."""
    await world.mend()
    assert await world.house.adapters.queue.size() == 0
    await world.crash()
    await world.come_back(person)
    assert person.live.ticket is None


async def test_a_search_taken_up_again_while_redis_has_failed_is_over_when_two_have_met(world: World) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    world.redis.is_up = False
    anna.drop()
    await world.settle()
    await anna.connect()
    await berta.search()
    world.house.rooms.leave(anna.live, "user_left")
    await leave_no_search(world, anna)


async def test_a_recalled_search_that_cannot_enter_is_over_when_it_is_cancelled(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    await world.crash()
    world.redis.fates.extend(["fine", "unsent"])
    await world.come_back(anna)
    await anna.cancel()
    await leave_no_search(world, anna)


async def test_a_search_begun_before_an_earlier_one_was_recalled_is_over_when_it_is_cancelled(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    await world.crash()
    anna.house = world.house
    world.redis.fates.append("unsent")
    await anna.arrive()
    await anna.search()
    await world.settle()
    await anna.cancel()
    await leave_no_search(world, anna)


@pytest.mark.parametrize("how", ["refused", "unsent", "unanswered", "away"])
async def test_another_wish_counts_although_redis_has_failed(world: World, how: Fate | Literal["away"]) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    if how == "away":
        world.redis.is_up = False
    else:
        world.redis.fates.append(how)
    await anna.search(Wish(mode="video"))
    await world.mend()
    await berta.search(Wish(mode="video"))

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member


@pytest.mark.parametrize("how", ["refused", "unsent", "unanswered", "away"])
async def test_a_search_with_another_wish_is_over_when_it_is_cancelled(
    world: World, how: Fate | Literal["away"]
) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    if how == "away":
        world.redis.is_up = False
    else:
        world.redis.fates.append(how)
    await anna.search(Wish(mode="video"))
    await anna.cancel()
    await leave_no_search(world, anna)


async def test_nothing_is_kept_of_a_search_that_ended_while_its_answer_was_lost(world: World) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    world.redis.is_up = False
    await berta.search()
    world.redis.is_up = True
    world.redis.fates.append("unsent")
    searching = asyncio.ensure_future(anna.search())
    await asyncio.sleep(0)
    await anna.cancel()
    await searching
    await world.settle()

    queue = cast("RedisMatchQueue", world.house.adapters.queue)
    assert queue._lost == {}
    assert await queue.size() == 1, "Berta searches on"


@pytest.mark.parametrize("fate", ["fine", "unsent", "unanswered", "refused"])
async def test_nothing_is_kept_here_of_a_guest_who_moves_while_a_search_is_on_its_way(world: World, fate: Fate) -> None:
    anna = await world.house.visitor("Anna")
    world.redis.fates.append(fate)
    searching = asyncio.ensure_future(anna.search())
    await asyncio.sleep(0)
    world.house.matchmaking.release(anna.live)
    await searching
    await world.settle()

    queue = cast("RedisMatchQueue", world.house.adapters.queue)
    assert queue._lost == {}
    assert queue._memory.waiting() == []


async def test_a_suspended_search_that_was_found_in_vain_outlives_a_flush(world: World, redis: Redis) -> None:
    anna, berta = await world.house.visitor("Anna"), await world.house.visitor("Berta")
    await anna.search()
    world.redis.fates.append("refused")
    anna.drop()
    await world.settle()
    await berta.search()
    await redis.command("FLUSHALL")
    await world.mend()
    await world.crash()
    await world.come_back(anna, berta)

    assert anna.live.member is not None


async def test_whoever_stays_away_is_gone_however_often_searches_are_renewed(world: World) -> None:
    anna = await world.house.visitor("Anna")
    await anna.search()
    anna.drop()
    while world.clock.monotonic() < GRACE:
        await world.renew()

    assert world.house.guests.live(anna.session_id) is None


# ── anything, in any order ────────────────────────────────────────────────────────────────────────

PEOPLE = 5
STEPS = (
    *("search", "search", "search", "search", "cancel", "leave", "drop", "connect", "connect"),
    *("lose", "lose", "break", "flush", "mend", "renew", "pass", "crash"),
)
FATES: tuple[Fate, ...] = ("unsent", "unanswered", "unanswered", "refused")


class Crowd:
    """People who search, in a world where anything fails, but one thing at a time."""

    def __init__(self, world: World, people: list[Person]) -> None:
        self.world = world
        self.people = people

    def is_here(self, person: Person) -> bool:
        live = self.world.house.guests.live(person.session_id)
        return live is not None and live.link is not None

    async def step(self, name: str, person: Person, fates: list[Fate]) -> None:
        world = self.world
        if name == "lose":
            world.redis.fates.extend(fates)
        elif name == "break":
            world.redis.is_up = False
        elif name == "flush":
            await world.real.command("FLUSHALL")
        elif name == "mend":
            await world.mend()
        elif name == "renew":
            await world.renew()
        elif name == "pass":
            await world.pass_time(1)
        elif name == "crash":
            await world.mend()
            await self.crash()
        elif name == "connect":
            await self.come_back(person)
        elif self.is_here(person):
            await self.act(name, person)
        await world.settle()
        self.check()

    async def act(self, name: str, person: Person) -> None:
        live = person.live
        if name == "search" and live.member is None:
            await person.search()
        elif name == "cancel" and live.ticket is not None:
            await person.cancel()
        elif name == "leave" and live.member is not None:
            self.world.house.rooms.leave(live, "user_left")
        elif name == "drop":
            person.drop()

    async def come_back(self, *people: Person) -> None:
        """Connect; in place of those who were away for too long somebody new does."""
        for person in people:
            try:
                await self.world.come_back(person)
            except UnauthorizedError:
                self.people[self.people.index(person)] = await self.world.house.visitor()

    async def crash(self) -> None:
        """Whoever searched, searches on in the process that follows, or has met somebody. Nobody else searches.

        Except whose room has just been opened: the rooms of this test do not outlive the process.
        """
        lives = [(person, self.world.house.guests.live(person.session_id)) for person in self.people]
        searched = [person for person, live in lives if live is not None and (live.ticket or live.suspended)]
        in_rooms = [person for person, live in lives if live is not None and live.member]
        await self.world.crash()
        await self.come_back(*self.people)
        for person in self.people:
            if person not in in_rooms:
                is_searching = person.live.ticket is not None or person.live.member is not None
                assert is_searching is (person in searched)

    def check(self) -> None:
        house = self.world.house
        lives = house.lives()
        for live in lives:
            assert live.guest.is_searching is (live.ticket is not None)
            assert live.ticket is None or live.member is None, "nobody searches in a room"
            if live.member is not None:
                partner = live.member.partner.live
                assert partner is not live, "nobody meets themselves"
                assert partner.member is live.member.partner, "nobody is in two rooms"
        assert house.matchmaking.waiting == sum(live.ticket is not None for live in lives)

    async def end(self) -> None:
        """When nothing fails any more, everybody who searches meets, and then nothing is left."""
        await self.come_back(*[person for person in self.people if not self.is_here(person)])
        await self.world.mend()
        for _ in range(5):
            await self.world.renew()
        assert self.world.house.matchmaking.waiting <= 1
        assert await self.world.house.adapters.queue.size() == self.world.house.matchmaking.waiting
        for person in self.people:
            if person.live.ticket is not None:
                await person.cancel()
        await self.world.pass_time(LEASE + KEPT + 1)
        await self.world.renew()
        assert await self.world.real.command("KEYS", "*{mm}*") == []


@settings(max_examples=25)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.integers(0, PEOPLE - 1),
            st.lists(st.sampled_from(FATES), max_size=2),
        ),
        min_size=40,
        max_size=60,
    )
)
def test_any_sequence_of_failures_loses_nobody(steps: list[tuple[str, int, list[Fate]]]) -> None:
    async def run() -> None:
        async with valkey() as server, connected(server.url) as redis:
            world = World(redis)
            crowd = Crowd(world, [await world.house.visitor() for _ in range(PEOPLE)])
            for name, number, fates in steps:
                await crowd.step(name, crowd.people[number], fates)
            await crowd.end()

    asyncio.run(run())
