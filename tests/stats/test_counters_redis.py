"""What the contract suite does not ask of the counters in Redis: what others read, and what happens without it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from passerby.stats.counters import Tally
from passerby.stats.counters_redis import RedisCounters
from tests.support.aging import age
from tests.support.backends import SESSION_TTL
from tests.support.clock import ManualClock
from tests.support.house import GRACE, House
from tests.support.valkey import PATIENCE, cluster, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.redis.client import Redis
    from tests.support.valkey import Valkey

HEARTBEAT = 2.0
LIFETIME = 5.0


class Place:
    """A Valkey, and the clock of its nodes."""

    def __init__(self, server: Valkey, redis: Redis) -> None:
        self.server = server
        self.redis = redis
        self.clock = ManualClock()

    def node(self) -> RedisCounters:
        """Return the counters of another process."""
        return RedisCounters(self.redis, self.clock)

    async def active(self) -> int | None:
        """Return `active_user_count`."""
        value = await self.server.command("GET", "active_user_count")
        return None if value is None else int(value)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await age(self.redis, seconds)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with valkey() as server, connected(server.url) as redis:
        yield Place(server, redis)


# ── what others read ──────────────────────────────────────────────────────────────────────────────


async def test_any_client_reads_the_counts(place: Place) -> None:
    await place.node().report("a", Tally(online=5, chatting=4, pairs=2), LIFETIME)

    assert await place.server.command("HGETALL", "node:a") == [b"online", b"5", b"chatting", b"4", b"pairs", b"2"]
    assert 4000 < await place.server.command("PTTL", "node:a") <= 5000
    assert await place.server.command("ZRANGE", "nodes", "0", "-1") == [b"a"]
    assert await place.server.command("GET", "active_user_count") == b"5"
    for key in ("nodes", "active_user_count"):
        assert 295 < await place.server.command("TTL", key) <= 300


async def test_what_a_node_that_is_gone_has_added_goes_with_the_next_report(place: Place) -> None:
    one, other = place.node(), place.node()
    await one.report("one", Tally(online=5), LIFETIME)
    await other.report("other", Tally(online=2), LIFETIME)
    await other.forget("one")
    await other.report("other", Tally(online=2), LIFETIME)

    assert await place.active() == 2
    assert await place.server.command("ZRANGE", "nodes", "0", "-1") == [b"other"]
    assert await place.server.command("EXISTS", "node:one") == 0


async def test_each_node_adds_its_differences(place: Place) -> None:
    one, other = place.node(), place.node()
    await one.report("one", Tally(online=5), LIFETIME)
    await other.report("other", Tally(online=2), LIFETIME)
    assert await place.active() == 7
    await place.server.command("CONFIG", "RESETSTAT")
    await one.report("one", Tally(online=3), LIFETIME)
    await one.report("one", Tally(online=4), LIFETIME)
    await other.report("other", Tally(online=0), LIFETIME)

    assert await place.active() == 4
    stats = await place.server.command_stats()
    assert stats["incrby"] == 3
    assert "set" not in stats, "it was right all the time"


async def test_the_count_stays_while_guests_are_here_and_goes_when_no_node_is(place: Place) -> None:
    node = place.node()
    for _ in range(200):
        await node.report("a", Tally(online=1), LIFETIME)
        await place.pass_time(HEARTBEAT)
    assert await place.active() == 1

    await place.pass_time(301)

    assert set(await place.server.command("KEYS", "*")) <= {b"passerby:marker"}


@pytest.mark.parametrize("value", [None, "1", "x", "-7"])
async def test_the_count_is_never_negative_whatever_it_was(place: Place, value: str | None) -> None:
    node = place.node()
    await node.report("a", Tally(online=5), LIFETIME)
    await place.server.command(
        *(("DEL", "active_user_count") if value is None else ("SET", "active_user_count", value))
    )

    await node.report("a", Tally(online=2), LIFETIME)

    assert await place.active() == 2


async def test_a_killed_node_counts_no_longer_within_ten_seconds(place: Place) -> None:
    """Its guests come back to the process that takes its place, and are counted once."""
    await place.node().report("killed", Tally(online=50, chatting=20, pairs=10), LIFETIME)
    another = place.node()
    for second in range(0, 10, 2):
        await another.report("another", Tally(online=5 * second), LIFETIME)
        await place.pass_time(HEARTBEAT)
    await another.report("another", Tally(online=50), LIFETIME)

    assert await place.active() == 50
    assert await another.total() == Tally(online=50)
    assert await place.server.command("ZRANGE", "nodes", "0", "-1") == [b"another"]


async def test_a_node_that_only_was_late_counts_again(place: Place) -> None:
    late, other = place.node(), place.node()
    await late.report("late", Tally(online=3), LIFETIME)
    await place.pass_time(6)
    await other.report("other", Tally(online=1), LIFETIME)
    assert await other.total() == Tally(online=1)
    assert await place.active() == 1

    await late.report("late", Tally(online=3), LIFETIME)

    assert await other.total() == Tally(online=4)
    await place.pass_time(HEARTBEAT)
    await other.report("other", Tally(online=1), LIFETIME)
    assert await place.active() == 4


async def test_a_node_that_stops_counts_no_longer(place: Place) -> None:
    one, other = place.node(), place.node()
    await one.report("one", Tally(online=5), LIFETIME)
    await other.report("other", Tally(online=2), LIFETIME)

    await one.close()

    assert await place.active() == 2
    assert await other.total() == Tally(online=2)
    assert await place.server.command("EXISTS", "node:one") == 0


async def test_statistics_take_a_bounded_number_of_commands(place: Place) -> None:
    house = House(clock=place.clock, stand_ins={"counters": place.node()})
    for _ in range(30):
        await house.visitor()
    await house.stats.stats()
    await place.server.command("CONFIG", "RESETSTAT")
    for _ in range(10):
        await house.pass_time(HEARTBEAT)
        await house.stats.stats()

    stats = await place.server.command_stats()
    assert not {"keys", "scan", "hscan", "zscan", "smembers", "hgetall"} & set(stats)
    assert (stats["evalsha"], stats["zrange"], stats["hmget"]) == (30, 20, 20)
    assert sum(stats.values()) <= 10 * 20, "also those in scripts"


async def test_only_guests_with_a_connection_are_active(place: Place) -> None:
    house = House(clock=place.clock, stand_ins={"counters": place.node()}, session_ttl=SESSION_TTL)
    people = [await house.visitor() for _ in range(3)]
    await house.newcomer()
    await house.stats.stats()
    assert await place.active() == 3
    people[0].drop()
    await house.stats.stats()
    assert await place.active() == 2, "within the grace window already"
    await people[0].connect()
    await house.stats.stats()
    assert await place.active() == 3
    people[1].drop()
    await house.pass_time(GRACE)
    await house.stats.stats()
    assert await place.active() == 2


async def test_the_heartbeat_reports_also_when_nothing_changes(place: Place) -> None:
    house = House(clock=place.clock, stand_ins={"counters": place.node()})
    await house.visitor()
    house.start()
    try:
        await house.pass_time(1)
        await place.server.command("FLUSHALL")
        await house.pass_time(HEARTBEAT)
        await place.node().total()  # answered after what was sent before

        assert await place.active() == 1
        assert await place.server.command("EXISTS", "nodes") == 1
    finally:
        await house.stop()


async def test_nodes_share_their_counts_in_a_cluster() -> None:
    async with cluster() as group, connected(group.url) as redis:
        nodes = {f"node{number}": RedisCounters(redis, ManualClock()) for number in range(10)}
        for node, counters in nodes.items():
            await counters.report(node, Tally(online=2, chatting=1), LIFETIME)

        assert await nodes["node0"].total() == Tally(online=20, chatting=10)
        assert await redis.command("GET", "active_user_count") == b"20"
        await nodes["node1"].close()
        assert await nodes["node0"].total() == Tally(online=18, chatting=9)


# ── damaged, lost, and without Redis ──────────────────────────────────────────────────────────────


async def test_damaged_values_are_ignored_and_replaced(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    node = place.node()
    await node.report("a", Tally(online=5), LIFETIME)
    await place.server.command("ZADD", "nodes", "1e10", "b", "1e10", "c", "1e10", b"\xff")
    await place.server.command("SET", "node:b", "secret")
    await place.server.command("HSET", "node:c", "online", "secret", "chatting", "1")

    assert await node.total() == Tally(online=5)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "secret" not in str(vars(record))
    for count in ("-9", "9" * 30):
        await place.server.command("ZADD", "nodes", "1e10", "c")
        await place.server.command("HSET", "node:c", "online", count, "chatting", "1", "pairs", "1")
        assert await node.total() == Tally(online=5)
    await node.report("b", Tally(online=1), LIFETIME)
    assert await node.total() == Tally(online=6)


async def test_a_list_of_another_type_is_replaced(place: Place) -> None:
    node = place.node()
    await place.server.command("SET", "nodes", "mine")
    assert await node.total() == Tally()

    await node.report("a", Tally(online=5), LIFETIME)

    assert await place.node().total() == Tally(online=5)


async def test_without_redis_the_sum_is_of_this_process(place: Place) -> None:
    one, other = place.node(), place.node()
    place.redis.on_resync("counts", one.resync)
    await one.report("one", Tally(online=5), LIFETIME)
    await other.report("other", Tally(online=2), LIFETIME)
    place.server.kill()

    assert await one.total() == Tally(online=5)
    await one.report("one", Tally(online=4), LIFETIME)
    assert await one.total() == Tally(online=4)
    await one.check()
    await place.server.start()
    assert await place.redis.ready(PATIENCE)

    assert await one.total() == Tally(online=4)
    assert await place.active() == 4
    await other.report("other", Tally(online=2), LIFETIME)
    assert await one.total() == Tally(online=6)


async def test_after_flushall_the_next_report_puts_it_right(place: Place) -> None:
    node = place.node()
    await node.report("a", Tally(online=5), LIFETIME)
    await place.server.command("FLUSHALL")
    await place.pass_time(HEARTBEAT)
    await node.report("a", Tally(online=6), LIFETIME)

    assert await place.active() == 6
    assert await node.total() == Tally(online=6)


async def test_a_node_that_stops_without_redis_does_not_wait_for_it(place: Place) -> None:
    node = place.node()
    await node.report("a", Tally(online=5), LIFETIME)
    place.server.kill()

    await node.close()
