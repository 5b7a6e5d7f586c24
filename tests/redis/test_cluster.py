"""A Cluster of three real nodes: slots that move, nodes that go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from redis.crc import key_slot

from passerby.redis.client import Redis, RefusedError, Script, State
from tests.support.valkey import HOST, Cluster, Valkey, change, cluster, connected, opened, reached, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def group() -> AsyncIterator[Cluster]:
    """Run a Cluster for all tests that leave its slots where they are: it takes 2 s to start."""
    async with cluster() as running:
        yield running


@pytest.fixture
async def changing() -> AsyncIterator[Cluster]:
    """Run a Cluster for one test."""
    async with cluster() as running:
        yield running


@pytest.fixture
async def redis(group: Cluster) -> AsyncIterator[Redis]:
    async with connected(group.url, "p:") as redis:
        yield redis


@pytest.fixture
def script(tmp_path: Path) -> Script:
    path = tmp_path / "add.lua"
    path.write_text("redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])")
    return Script(path)


def owner(group: Cluster, key: str) -> Valkey:
    return group.nodes[min(key_slot(key.encode()) // 5461, 2)]


async def test_commands_and_scripts_go_where_their_keys_are(group: Cluster, redis: Redis, script: Script) -> None:
    names = [redis.key(f"{{{number}}}:x") for number in range(60)]
    answers = await asyncio.gather(*(redis.command("SET", name, "1") for name in names))
    assert answers == [b"OK"] * 60
    answers = await asyncio.gather(*(redis.run(script, [name, f"{name}:y"], 2) for name in names))
    assert answers == [2] * 60
    for name in names:
        assert await owner(group, name).command("GET", name) == b"3"
        assert (await owner(group, name).command_stats())["set"] > 10
    assert await redis.command("PING") == b"PONG"
    with pytest.raises(RefusedError) as caught:
        await redis.run(script, ["a", "b"], 1)
    assert caught.value.code == "CROSSSLOT"
    assert redis.watch.changes == {State.RESYNC: 1, State.NORMAL: 1}


async def test_a_slot_that_has_moved_is_followed(changing: Cluster, script: Script) -> None:
    async with connected(changing.url) as redis:
        key = "{a}:x"
        slot = key_slot(key.encode())
        source, target = owner(changing, key), changing.nodes[0 if owner(changing, key) is not changing.nodes[0] else 1]
        await redis.command("SET", key, "1")
        await redis.command("DEL", key)
        await changing.move(slot, source, target)

        answers = await asyncio.gather(
            redis.command("INCR", key), redis.run(script, [key, "{a}:y"], 5), redis.command("INCR", key)
        )

        assert list(answers) == [1, 5, 7]
        assert await target.command("GET", key) == b"7"
        await source.command("CONFIG", "RESETSTAT")
        assert await redis.command("INCR", key) == 8
        assert "incr" not in await source.command_stats()  # the map is new
        assert redis.watch.changes[State.DEGRADED] == 0


async def test_a_slot_on_its_way_is_asked_for(changing: Cluster, script: Script) -> None:
    async with connected(changing.url) as redis:
        key = "{a}:x"
        slot = key_slot(key.encode())
        source, target = owner(changing, key), changing.nodes[0 if owner(changing, key) is not changing.nodes[0] else 1]
        await target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", await source.command("CLUSTER", "MYID"))
        await source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", await target.command("CLUSTER", "MYID"))

        assert await redis.command("INCR", key) == 1
        assert await target.command("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
        waiting = redis.run(script, [key, "{a}:y"], 5)  # one key is there, the other nowhere: TRYAGAIN
        assert await redis.command("INCR", key) == 2
        assert not waiting.done()
        await changing.move(slot, source, target)
        assert await waiting == 5
        assert await redis.command("GET", key) == b"7"
        assert redis.watch.changes[State.DEGRADED] == 0


async def test_a_marker_that_moves_is_set_anew(changing: Cluster) -> None:
    async with connected(changing.url, "p:") as redis:
        source, target = changing.nodes[:2]
        (marker,) = await source.command("KEYS", "p:passerby:marker:*")
        await source.command("DEL", marker)
        async with change(redis, State.RESYNC):
            await changing.move(key_slot(marker), source, target)
        await reached(redis, State.NORMAL)
        for node in changing.nodes:
            assert len(await node.command("KEYS", "p:passerby:marker:*")) >= 1
        changes = dict(redis.watch.changes)
        assert await redis.command("SET", "x", "1") == b"OK"
        assert redis.watch.changes == changes
        assert redis.watch.changes[State.DEGRADED] == 0


async def test_data_of_one_node_that_is_lost_is_written_again(group: Cluster, redis: Redis) -> None:
    async with change(redis, State.RESYNC, 3):
        await group.nodes[1].command("FLUSHALL")
    await reached(redis, State.NORMAL)


async def test_a_node_that_goes_and_comes_back(group: Cluster, redis: Redis) -> None:
    waiting = [redis.command("INCR", f"{{{number}}}") for number in range(20)]
    group.nodes[2].kill()
    await asyncio.gather(*waiting, return_exceptions=True)
    await reached(redis, State.DEGRADED, 3)
    assert not await redis.ready(0.2)
    await group.nodes[2].start()
    await reached(redis, State.NORMAL)
    await asyncio.gather(*(redis.command("SET", f"{{{number}}}", "1") for number in range(20)))


async def test_a_node_that_freezes_is_noticed(group: Cluster, redis: Redis) -> None:
    group.nodes[1].freeze()
    await reached(redis, State.DEGRADED, 3)
    group.nodes[1].thaw()
    await reached(redis, State.NORMAL)


async def test_the_first_node_of_the_url_may_be_away(group: Cluster) -> None:
    url = group.url.replace("://", f"://{HOST}:1,")
    async with connected(url) as redis:
        assert await redis.command("SET", "x", "1") == b"OK"


async def test_the_wrong_kind_of_url_says_so(group: Cluster) -> None:
    async with opened(f"redis://{HOST}:{group.nodes[0].port}") as redis:
        assert not await redis.ready(0.3)
        assert "must begin with redis+cluster://" in redis.watch.reason
    async with valkey(transport="tcp") as server, opened(f"redis+cluster://{HOST}:{server.port}") as redis:
        assert not await redis.ready(0.3)
        assert "no node of a Cluster" in redis.watch.reason


async def test_a_cluster_that_lacks_slots_is_not_used(changing: Cluster) -> None:
    await changing.nodes[0].command("CLUSTER", "DELSLOTS", 5)
    async with opened(changing.url) as redis:
        assert not await redis.ready(0.3)
        assert "lacks a node for some keys" in redis.watch.reason
        await changing.nodes[0].command("CLUSTER", "ADDSLOTS", 5)
        await reached(redis, State.NORMAL)
