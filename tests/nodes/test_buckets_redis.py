"""What the contract suite does not ask of buckets in Redis: several nodes, what is kept, what happens without it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import pytest

from passerby.limits import Rate
from passerby.nodes.buckets_redis import RedisBuckets
from tests.support.aging import age
from tests.support.clock import ManualClock, turns
from tests.support.valkey import PATIENCE, cluster, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from passerby.redis.client import Redis
    from tests.support.valkey import Valkey

ADDRESS: Final = "192.0.2.1"
NETWORKS: Final = ("20010db800010002", "20010db80001", "20010db8")
SLOW: Final = Rate(6, 0.001)
OTHERS: Final = ("another node",)


class Place:
    """A Valkey, and the clock of its nodes."""

    def __init__(self, server: Valkey, stack: AsyncExitStack) -> None:
        self.server = server
        self.clock = ManualClock()
        self._stack = stack
        self.redis: list[Redis] = []

    async def node(self, rate: Rate = SLOW, others: Collection[str] = OTHERS) -> RedisBuckets:
        """Return the buckets of another process."""
        redis = await self._stack.enter_async_context(connected(self.server.url))
        self.redis.append(redis)
        return RedisBuckets(redis, self.clock, "connects", rate, others)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await age(self.redis[0], seconds)

    async def settle(self) -> None:
        """Wait until Redis has answered everything."""
        for redis in self.redis:
            await redis.command("PING")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with valkey() as server, AsyncExitStack() as stack:
        yield Place(server, stack)


# ── several nodes ─────────────────────────────────────────────────────────────────────────────────


async def test_nodes_share_a_burst_exactly(place: Place) -> None:
    nodes = [await place.node() for _ in range(3)]
    waits = await asyncio.gather(*(node.take(ADDRESS) for _ in range(10) for node in nodes))

    assert sum(wait == 0.0 for wait in waits) == 6
    assert all(wait == 0.0 or wait == pytest.approx(1000, abs=10) for wait in waits)


async def test_who_is_alone_waits_for_no_answer_and_is_known_to_who_joins(place: Place) -> None:
    alone = await place.node(others=())
    place.server.freeze()
    assert [await alone.take(ADDRESS) == 0.0 for _ in range(8)] == [True] * 6 + [False] * 2
    place.server.thaw()
    await place.settle()

    assert await (await place.node()).take(ADDRESS) == pytest.approx(1000, abs=10)


async def test_a_token_that_came_with_time_goes_to_one_node(place: Place) -> None:
    nodes = [await place.node() for _ in range(3)]
    for _ in range(2):
        for node in nodes:
            assert await node.take(ADDRESS) == 0.0
    for _ in range(4):
        await place.pass_time(1001)
        waits = await asyncio.gather(*(node.take(ADDRESS) for node in nodes))
        assert sum(wait == 0.0 for wait in waits) == 1


async def test_a_take_that_redis_refuses_costs_the_node_no_token(place: Place) -> None:
    one, other = await place.node(), await place.node()
    for _ in range(6):
        await one.take(ADDRESS)
    await other.take(ADDRESS)
    await place.pass_time(6001)

    assert [await other.take(ADDRESS) for _ in range(6)] == [0.0] * 6


async def test_who_cannot_wait_is_known_to_the_others_afterwards(place: Place) -> None:
    one, other = await place.node(), await place.node()
    for _ in range(4):
        assert one.take_at_once(ADDRESS) == 0.0
    await place.settle()
    assert [await other.take(ADDRESS) == 0.0 for _ in range(3)] == [True, True, False]
    await place.settle()

    assert other.take_at_once(ADDRESS) > 0.0
    assert one.take_at_once(ADDRESS) == 0.0, "it does not know yet"
    await place.settle()
    assert one.take_at_once(ADDRESS) > 0.0


async def test_who_cannot_wait_gets_at_most_a_burst_of_each_node_and_then_all_wait(place: Place) -> None:
    nodes = [await place.node() for _ in range(3)]
    taken = sum(node.take_at_once(ADDRESS) == 0.0 for _ in range(20) for node in nodes)
    assert taken == 18
    await place.settle()

    fresh = await place.node()
    assert await fresh.take(ADDRESS) == pytest.approx(6000, abs=10), "an empty bucket would be full then"
    await place.pass_time(1001)
    assert sum(node.take_at_once(ADDRESS) == 0.0 for _ in range(20) for node in nodes) <= 3, "of what they know"
    await place.settle()
    await place.pass_time(4900)
    assert [node.take_at_once(ADDRESS) == 0.0 for node in nodes] == [False] * 3, "they know all of it"


async def test_a_node_that_starts_gives_no_new_burst(place: Place) -> None:
    node = await place.node()
    for _ in range(6):
        await node.take(ADDRESS)

    assert await (await place.node()).take(ADDRESS) > 0.0


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────


async def test_a_bucket_is_kept_until_it_is_full(place: Place) -> None:
    node = await place.node(Rate(100, 1))
    await node.take(ADDRESS)
    key = f"limit:{{{ADDRESS}}}:connects:{ADDRESS}"
    assert await place.server.command("KEYS", "limit:*") == [key.encode()]
    assert 900 < await place.server.command("PTTL", key) <= 1000
    for _ in range(9):
        await node.take(ADDRESS)
    assert 9000 < await place.server.command("PTTL", key) <= 10_000

    await place.pass_time(11)
    assert await place.server.command("KEYS", "limit:*") == []


async def test_the_networks_of_an_address_are_in_one_slot(place: Place) -> None:
    node = await place.node()
    await node.take("2001:db8:1:2::1")

    found = await place.server.command("KEYS", "limit:*")
    assert sorted(found) == sorted(f"limit:{{20010db8}}:connects:{network}".encode() for network in NETWORKS)


@pytest.mark.parametrize("address", [ADDRESS, "2001:db8:1:2::1"])
async def test_in_a_cluster(address: str) -> None:
    async with cluster() as servers, connected(servers.url) as one, connected(servers.url) as other:
        nodes = [RedisBuckets(redis, ManualClock(), "sessions", SLOW, OTHERS) for redis in (one, other)]
        assert [await node.take(address) == 0.0 for _ in range(4) for node in nodes] == [True] * 6 + [False] * 2


# ── what may go wrong ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("damage", [("SET", "nonsense"), ("SET", "nan"), ("SET", "inf"), ("LPUSH", "1"), ("SET", "")])
async def test_a_damaged_bucket_is_repaired(place: Place, damage: tuple[str, str]) -> None:
    node = await place.node()
    await node.take("192.0.2.2")
    command, value = damage
    await place.server.command(command, f"limit:{{{ADDRESS}}}:connects:{ADDRESS}", value)
    await node.take(ADDRESS)
    await place.pass_time(6001)

    assert await node.take(ADDRESS) == 0.0
    assert await (await place.node()).take(ADDRESS) == 0.0


async def test_a_clock_that_is_set_back_lets_nobody_wait_longer_than_a_burst(place: Place) -> None:
    node = await place.node()
    key = f"limit:{{{ADDRESS}}}:connects:{ADDRESS}"
    seconds, _ = await place.server.command("TIME")
    await place.server.command("SET", key, str((int(seconds) + 10**7) * 10**6))

    assert await node.take(ADDRESS) == pytest.approx(6000, abs=10)


async def test_while_redis_is_away_the_nodes_own_memory_decides(place: Place) -> None:
    one, other = await place.node(), await place.node()
    for _ in range(3):
        await one.take(ADDRESS)
    assert await other.take(ADDRESS) == 0.0
    place.server.kill()
    async with asyncio.timeout(PATIENCE):
        while any(redis.is_usable for redis in place.redis):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)

    assert [await one.take(ADDRESS) == 0.0 for _ in range(4)] == [True, True, True, False]
    assert [other.take_at_once(ADDRESS) == 0.0 for _ in range(4)] == [True, True, False, False], "it knew of 4"


async def test_what_redis_refuses_this_node_allows(place: Place) -> None:
    node = await place.node()
    await place.server.command("CONFIG", "SET", "maxmemory", "1")

    assert [await node.take(ADDRESS) == 0.0 for _ in range(7)] == [True] * 6 + [False]
    node.take_at_once("192.0.2.2")
    await turns()


async def test_after_flushall_a_node_still_knows_its_own(place: Place) -> None:
    node = await place.node()
    for _ in range(6):
        await node.take(ADDRESS)
    await place.server.command("FLUSHALL")

    assert await node.take(ADDRESS) > 0.0
