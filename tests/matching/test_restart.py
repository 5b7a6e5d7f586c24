"""Searches outlive the process, with the queue in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from passerby.chat.events import Matched
from passerby.guests.store_memory import MemorySessionStore
from passerby.matching.events import MatchNoUsers, MatchSearching
from passerby.matching.matchmaking import RENEWAL
from passerby.matching.queue_redis import KEPT, LEASE, RedisMatchQueue
from passerby.models import Ticket
from tests.support.aging import age
from tests.support.clock import ManualClock
from tests.support.house import GRACE, House, Person
from tests.support.lossy import LossyRedis
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.redis.client import Redis


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with valkey() as server, connected(server.url) as redis:
        yield redis


class World:
    """What outlives a process, and the process that runs now."""

    def __init__(self, redis: Redis) -> None:
        self.redis = LossyRedis(redis)
        self.clock = ManualClock()
        self.store = MemorySessionStore(self.clock)
        self.house = self._begin()

    def _begin(self) -> House:
        queue = RedisMatchQueue(cast("Any", self.redis), self.clock)
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
            await self.redis.command("PING")
            await self.house.settle()

    async def pass_time(self, seconds: float) -> None:
        await age(self.redis, seconds)  # type: ignore[arg-type]  # it stands in for one
        await self.house.pass_time(seconds)
        await self.settle()

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
    began = search_of(anna).entered_at
    await world.crash()
    berta = await world.house.visitor("Berta")
    await berta.search()
    assert berta.live.member is None
    await world.come_back(anna)

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member
    assert began <= world.clock.time()


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
async def test_no_guest_sees_that_redis_has_failed(world: World, fate: Any) -> None:  # noqa: ANN401 - a Fate
    anna, berta, carla = [await world.house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    for person in (anna, berta):
        world.redis.fates.append(fate)
        await person.search()
    world.redis.is_up = False
    await carla.search()
    carla.drop()
    await world.settle()
    world.redis.fates.clear()
    world.redis.is_up = True
    await cast("RedisMatchQueue", world.house.adapters.queue).resync()

    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member
    await world.crash()
    await world.come_back(carla)
    assert carla.live.guest.is_searching
