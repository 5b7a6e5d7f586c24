"""The bus over real servers to which bad things happen."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
from redis.crc import key_slot

from passerby.nodes.bus_redis import RedisBus
from passerby.redis.client import State
from tests.support.buses import KIND, LOST, End, RedisNet, redis_net, resubscribed
from tests.support.clock import turns
from tests.support.valkey import PATIENCE, cluster, proxy, reached, sentinels, until, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.valkey import Cluster, Transport, Valkey

NOTICED = 4.0
"""Seconds within which any loss is told."""
WRITTEN = msgspec.msgpack.encode


@pytest.fixture
async def redis_only() -> AsyncIterator[RedisNet]:
    async with redis_net() as net:
        yield net


async def met(net: RedisNet) -> tuple[End, End]:
    anna, ben = await net.node("anna"), await net.node("ben")
    await talk(anna, ben)
    return anna, ben


async def talk(anna: End, ben: End) -> None:
    anna.send(ben, "hello")
    await ben.has(anna, "hello")
    ben.send(anna, "hello")
    await anna.has(ben, "hello")


async def are_back(*ends: End) -> None:
    for end in ends:
        assert isinstance(end.bus, RedisBus)
        assert await end.bus.ready(PATIENCE)


def server_of(net: RedisNet) -> Valkey:
    assert net.server is not None
    return net.server


async def lost_once(anna: End, ben: End) -> None:
    """Both have learned of one loss, and can talk again."""
    await anna.has(ben, LOST)
    await ben.has(anna, LOST)
    await are_back(anna, ben)
    await talk(anna, ben)


# ── ways to reach a server ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("is_encrypted", [False, True])
async def test_each_transport(*, transport: Transport, is_encrypted: bool) -> None:
    async with (
        valkey(transport=transport, user="chat", password="s/e@c") as server,
        proxy(server, is_encrypted=is_encrypted) as between,
        AsyncExitStack() as stack,
    ):
        anna, ben = await met(RedisNet(between.url, stack))
        anna.send(ben, b"x" * 1_000_000, 1)
        await ben.has(anna, b"x" * 1_000_000, 1)


# ── the subscription ──────────────────────────────────────────────────────────────────────────────


async def test_killed_subscribers_are_noticed_on_both_sides(redis_only: RedisNet) -> None:
    anna, ben = await met(redis_only)
    before = [(end, end.bus.subscriptions) for end in (anna, ben) if isinstance(end.bus, RedisBus)]
    anna.send(ben, *range(1000))
    await server_of(redis_only).command("CLIENT", "KILL", "TYPE", "pubsub")
    for end, count in before:
        await resubscribed(end, count)
    came = [what for what in ben.came.pop(anna.node) if what != LOST]
    assert came == list(range(len(came)))
    anna.came.pop(ben.node)
    await talk(anna, ben)
    assert anna.bus.pairs.losses == ben.bus.pairs.losses == 1


async def test_a_first_frame_that_meets_a_dying_subscription_is_not_lost_silently(
    redis_only: RedisNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.nodes.pairs.CONFIRMATION", 0.3)
    anna, ben = await redis_only.node("anna"), await redis_only.node("ben")
    assert isinstance(ben.bus, RedisBus)
    assert ben.bus._subscription is not None
    ben.bus._subscription._receive = lambda _: None  # as if the connection had swallowed it
    anna.send(ben, "swallowed")
    await anna.has(ben, LOST)
    await redis_only.cut(ben)
    anna.send(ben, "again")
    await ben.has(anna, LOST, "again")


async def test_an_output_buffer_that_overflows(redis_only: RedisNet) -> None:
    server = server_of(redis_only)
    anna, ben = await met(redis_only)
    await server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 100000 0 0")
    assert isinstance(ben.bus, RedisBus)
    before, subscription = ben.bus.subscriptions, ben.bus._subscription
    assert subscription is not None
    assert subscription._transport is not None
    subscription._transport.pause_reading()  # a node that is busy with something else

    async def is_dropped() -> bool:
        anna.send(ben, *(b"x" * 1000 for _ in range(200)))
        return await server.command("PUBSUB", "NUMSUB", "bus:ben") == [b"bus:ben", 0]  # type: ignore[no-any-return]

    await until(is_dropped)
    subscription._transport.resume_reading()
    await resubscribed(ben, before)
    await anna.until(lambda: LOST in anna.came[ben.node])
    await turns()
    came = ben.came.pop(anna.node)
    assert set(came) == {b"x" * 1000, LOST}
    anna.came.clear()
    anna.send(ben, "after it")
    await ben.until(lambda: "after it" in ben.came[anna.node])


async def test_a_black_hole_behind_the_subscription_alone() -> None:
    async with valkey() as server, proxy(server) as hole, AsyncExitStack() as stack:
        anna = await RedisNet(server.url, stack).node("anna")
        ben = await RedisNet(hole.url, stack).node("ben")
        await talk(anna, ben)
        assert isinstance(ben.bus, RedisBus)
        hole.swallow()
        began = time.monotonic()
        await ben.has(anna, LOST)
        assert time.monotonic() - began < NOTICED
        hole.flow()
        await are_back(ben)
        await anna.has(ben, LOST)
        await talk(anna, ben)


async def test_only_one_node_is_cut_off() -> None:
    async with valkey() as server, proxy(server) as between, AsyncExitStack() as stack:
        near = RedisNet(server.url, stack)
        anna, carl = await near.node("anna"), await near.node("carl")
        ben = await RedisNet(between.url, stack).node("ben")
        await talk(anna, ben)
        await talk(anna, carl)
        between.swallow()
        await ben.has(anna, LOST)
        between.cut()
        between.flow()
        await are_back(ben)
        await anna.has(ben, LOST)
        await talk(anna, ben)
        await talk(anna, carl)
        assert carl.bus.pairs.losses == 0


# ── the server ────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_is_killed_and_comes_back(redis_only: RedisNet) -> None:
    server = server_of(redis_only)
    anna, ben = await met(redis_only)
    anna.send(ben, "perhaps")
    server.kill()
    await anna.until(lambda: LOST in anna.came[ben.node])
    await ben.until(lambda: LOST in ben.came[anna.node])
    assert anna.came.pop(ben.node) == [LOST]
    assert ben.came.pop(anna.node)[-1] == LOST
    anna.send(ben, "while it is away")
    await anna.has(ben, LOST)
    await server.start()
    await are_back(anna, ben)
    await ben.has(anna, LOST)
    await talk(anna, ben)
    assert not anna.came[ben.node]


async def test_a_frozen_server_loses_everything_once(redis_only: RedisNet) -> None:
    server = server_of(redis_only)
    anna, ben = await met(redis_only)
    server.freeze()
    began = time.monotonic()
    anna.send(ben, "into the ice")
    await anna.has(ben, LOST)
    await ben.has(anna, LOST)
    assert time.monotonic() - began < NOTICED
    server.thaw()
    await are_back(anna, ben)
    await talk(anna, ben)


async def test_removed_data_changes_nothing(redis_only: RedisNet) -> None:
    server = server_of(redis_only)
    anna, ben = await met(redis_only)
    await server.command("FLUSHALL")
    await reached(redis_only.redis["anna"], State.RESYNC)
    await reached(redis_only.redis["anna"], State.NORMAL)
    await talk(anna, ben)
    assert anna.bus.pairs.losses == ben.bus.pairs.losses == 0


async def test_a_prefix_separates(redis_only: RedisNet) -> None:
    anna, ben = await met(redis_only)
    async with AsyncExitStack() as stack:
        other = RedisNet(redis_only.url, stack, prefix="other:")
        anna2, ben2 = await other.node("anna"), await other.node("ben")
        await talk(anna2, ben2)
        channels = await server_of(redis_only).command("PUBSUB", "CHANNELS", "*")
        assert sorted(channels) == [b"bus:anna", b"bus:ben", b"other:bus:anna", b"other:bus:ben"]
    assert not ben.came[anna.node]


async def test_a_failover_that_sentinels_make() -> None:
    async with sentinels() as group, AsyncExitStack() as stack:
        anna, ben = await met(RedisNet(group.url, stack))
        group.primary.kill()
        await group.promoted()
        await anna.has(ben, LOST)
        await ben.has(anna, LOST)
        await are_back(anna, ben)
        await talk(anna, ben)


# ── what is no message of ours ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"\xc1",
        b"\x91" * 100_000,
        WRITTEN([]),
        WRITTEN([1]),
        WRITTEN({"a": 1}),
        WRITTEN([1, "anna", 1, 0, 1]),
        WRITTEN([1, "anna", 0, 0, 1, []]),
        WRITTEN([1, "anna", 1 << 63, 0, 1, []]),
        WRITTEN([1, 5, 1, 0, 1, []]),
        WRITTEN([1, "anna", 1, 0, 1, [5]]),
        WRITTEN(["1", "anna", 1, 0, 1, []]),
        b"\x96\x01\xa1\xff\x01\x00\x01\x90",
    ],
)
async def test_what_is_damaged_is_ignored(
    redis_only: RedisNet, message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    anna, ben = await met(redis_only)
    server = server_of(redis_only)
    for _ in range(3):
        assert await server.command("PUBLISH", "bus:ben", message) == 1
    await talk(anna, ben)
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [line.name for line in lines] == ["passerby.nodes.pairs"]
    assert anna.bus.pairs.losses == ben.bus.pairs.losses == 0


@pytest.mark.parametrize("frame", [[], ["1"], [{}], [[1]], [None]])
async def test_a_damaged_frame_is_ignored(redis_only: RedisNet, frame: list[object]) -> None:
    anna, ben = await met(redis_only)
    await server_of(redis_only).command("PUBLISH", "bus:ben", WRITTEN([1, "eve", 1, 0, 1, [frame, [KIND, "fine"]]]))
    await ben.until(lambda: "fine" in ben.came["eve"])
    await talk(anna, ben)


async def test_a_message_of_an_unknown_version_loses_the_pair(
    redis_only: RedisNet, caplog: pytest.LogCaptureFixture
) -> None:
    anna, ben = await met(redis_only)
    for _ in range(3):
        await server_of(redis_only).command("PUBLISH", "bus:ben", WRITTEN([99, "anna", {"what": "ever"}]))
    await ben.has(anna, LOST)
    await anna.has(ben, LOST)
    await talk(anna, ben)
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["passerby.nodes.pairs"]


async def test_who_may_not_subscribe_goes_on_trying(caplog: pytest.LogCaptureFixture) -> None:
    async with valkey(user="chat", password="secret") as server, AsyncExitStack() as stack:
        net = RedisNet(server.url, stack, server)
        anna = await net.node("anna")
        assert isinstance(anna.bus, RedisBus)
        assert anna.bus._subscription is not None
        async with asyncio.timeout(PATIENCE):
            await server.command("ACL", "SETUSER", "chat", "resetchannels")
            while "cannot subscribe" not in caplog.text:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
            await server.command("ACL", "SETUSER", "chat", "allchannels")
            assert await anna.bus.ready(PATIENCE)


# ── a Cluster ─────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def cluster_net() -> AsyncIterator[tuple[Cluster, RedisNet]]:
    async with cluster() as group, AsyncExitStack() as stack:
        yield group, RedisNet(group.url, stack)


async def test_a_cluster() -> None:
    async with cluster_net() as (group, net):
        ends = [await net.node(f"node{number}") for number in range(6)]
        for end in ends:
            for other in ends:
                end.send(other, *range(10))
        for end in ends:
            for other in ends:
                await end.has(other, *range(10))
        shares = [len(await node.command("PUBSUB", "SHARDCHANNELS", "*")) for node in group.nodes]
        assert sum(shares) == 6
        assert max(shares) < 6

        # A slot moves: its subscribers are sent away, and follow.
        anna, ben = ends[:2]
        slot = key_slot(b"node1")
        source = group.nodes[min(slot // 5461, 2)]
        target = next(node for node in group.nodes if node is not source)
        await group.move(slot, source, target)
        await ben.until(lambda: LOST in ben.came[anna.node])
        await anna.until(lambda: LOST in anna.came[ben.node])
        await are_back(ben)
        anna.came.clear()
        ben.came.clear()
        anna.send(ben, "after it")
        await ben.until(lambda: "after it" in ben.came[anna.node])
        assert await target.command("PUBSUB", "SHARDCHANNELS", "*{node1}*")


async def test_a_cluster_whose_node_dies() -> None:
    async with cluster_net() as (group, net):
        primary = group.nodes[0]
        await group.add_replica(primary)
        names = [f"node{number}" for number in range(100)]
        name = next(name for name in names if key_slot(name.encode()) <= 5460)
        other = next(name for name in names if key_slot(name.encode()) > 10922)
        anna, ben = await net.node(name), await net.node(other)
        await talk(anna, ben)
        primary.kill()
        await anna.until(lambda: LOST in anna.came[ben.node])
        await ben.until(lambda: LOST in ben.came[anna.node])
        await are_back(anna, ben)
        anna.came.clear()
        ben.came.clear()
        anna.send(ben, "after it")
        await ben.until(lambda: "after it" in ben.came[anna.node])
        ben.send(anna, "after it")
        await anna.until(lambda: "after it" in anna.came[ben.node])
