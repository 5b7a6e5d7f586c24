"""Redis refuses to serve, loses data, or evicts sessions, while guests of two nodes talk: nobody loses anything."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from passerby.redis.client import State
from tests.nodes.test_moving import match, others, say, until
from tests.nodes.test_processes import until_connected
from tests.nodes.test_schedule import Scattered
from tests.support.lasting import talking_on
from tests.support.ports import free_port
from tests.support.server import InsideServer, inside
from tests.support.valkey import HOST, PATIENCE, Valkey, proxy, valkey
from tests.support.valkey import until as until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from passerby.redis.client import Redis

PAIRS = 4
RATE = 100.0
SETTLE = 30.0
SOME = 40
"""Messages that are heard before something happens, and after it."""
MANY = 700
"""Messages that are heard in more than a lease."""


def redis_of(node: InsideServer) -> Redis:
    redis = node.application.services.adapters.redis
    assert redis is not None
    return redis


@asynccontextmanager
async def talking(nodes: Iterable[InsideServer]) -> AsyncIterator[Scattered]:
    """Let guests of all nodes talk without a pause; in the end everything must have arrived, once and in order."""
    nodes = list(nodes)
    async with Scattered([urlsplit(node.url).netloc for node in nodes], random.Random(7)) as company:
        await company.meet([(await nodes[0].newcomer()).token for _ in range(2 * PAIRS)])
        company.listen()
        async with talking_on(company, RATE, SETTLE):
            yield company


@asynccontextmanager
async def two(url: str) -> AsyncIterator[tuple[InsideServer, InsideServer]]:
    """Run two nodes that know each other."""
    async with inside(redis_url=url, limits_scale=1000) as first, inside(redis_url=url, limits_scale=1000) as second:
        await until(lambda: bool(others(first)) and bool(others(second)))
        yield first, second


async def hear(company: Scattered, messages: int) -> None:
    heard = company.happenings.heard
    await company.until(lambda: company.happenings.heard >= heard + messages, SETTLE)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def oom(store: Valkey) -> AsyncIterator[str]:
    await store.command("CONFIG", "SET", "maxmemory", "1")
    yield "OOM"
    await store.command("CONFIG", "SET", "maxmemory", "0")


@asynccontextmanager
async def misconf(store: Valkey) -> AsyncIterator[str]:
    await store.command("CONFIG", "SET", "save", "3600 1")
    obstacle = store.path.parent / "dump.rdb"
    obstacle.mkdir()
    await store.command("BGSAVE")
    yield "disk"
    obstacle.rmdir()
    await store.command("CONFIG", "SET", "save", "")
    await store.command("BGSAVE")


@asynccontextmanager
async def readonly(store: Valkey) -> AsyncIterator[str]:
    await store.command("REPLICAOF", HOST, free_port(HOST))
    yield "replica"
    await store.command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def busy(store: Valkey) -> AsyncIterator[str]:
    blocking = asyncio.ensure_future(store.command("EVAL", "while true do end", 0))
    yield "script"
    await store.command("SCRIPT", "KILL")
    with contextlib.suppress(Exception):
        await blocking


@asynccontextmanager
async def loading(store: Valkey) -> AsyncIterator[str]:
    await store.command("DEBUG", "POPULATE", 50_000)
    reload = asyncio.ensure_future(store.command("DEBUG", "RELOAD"))
    yield "loading"
    await store.command("CONFIG", "SET", "key-load-delay", "0")
    with contextlib.suppress(Exception):
        await reload


@asynccontextmanager
async def no_login(store: Valkey) -> AsyncIterator[str]:
    await store.command("ACL", "DELUSER", "chat")
    yield "password"
    await store.command("ACL", "SETUSER", "chat", "on", ">secret", "~*", "&*", "+@all")


@pytest.mark.parametrize(
    ("refusal", "messages"),
    [(oom, SOME), (misconf, SOME), (readonly, SOME), (readonly, MANY), (busy, SOME), (loading, SOME), (no_login, SOME)],
)
async def test_no_message_is_lost_while_redis_refuses(
    refusal: Callable[[Valkey], AbstractAsyncContextManager[str]], messages: int
) -> None:
    slow = "--busy-reply-threshold", "50", "--loading-process-events-interval-bytes", "1024", "--key-load-delay", "20"
    async with (
        valkey(*slow, user="chat", password="secret") as store,
        two(store.url) as both,
        talking(both) as company,
    ):
        await hear(company, SOME)
        async with refusal(store) as reason:
            await until(lambda: all(reason in redis_of(node).watch.reason for node in both))
            assert not any(redis_of(node).is_usable for node in both)
            await hear(company, messages)
        await until(lambda: all(redis_of(node).is_usable for node in both))
        await company.until(company.all_ready, SETTLE)
        await hear(company, SOME)


# ── data that is lost ─────────────────────────────────────────────────────────────────────────────


async def numbers(store: Valkey) -> dict[bytes, int]:
    """Return the number of the last message of each room."""
    rooms = await store.command("KEYS", "{room:*:state")
    return {room: int(await store.command("HGET", room, "seq")) for room in rooms}


async def test_a_failover_that_loses_the_last_writes_loses_no_message() -> None:
    async with valkey(transport="tcp") as primary, AsyncExitStack() as stack:
        options = "--repl-diskless-sync-delay", "0", "--replicaof", HOST, str(primary.port)
        replica = await stack.enter_async_context(valkey(*options, transport="tcp"))

        async def is_linked() -> bool:
            return (await replica.info("replication"))["master_link_status"] == "up"

        await until_true(is_linked)
        between = await stack.enter_async_context(proxy(primary))
        both = await stack.enter_async_context(two(between.url))
        company = await stack.enter_async_context(talking(both))
        await hear(company, SOME)
        await replica.command("REPLICAOF", "NO", "ONE")  # it gets nothing from now on
        await hear(company, 4 * SOME)
        kept = await numbers(replica)
        assert all(number > kept[room] for room, number in (await numbers(primary)).items())
        primary.kill()
        between.lead_to(replica)
        between.cut()
        await until(lambda: all(redis_of(node).watch.changes[State.DEGRADED] for node in both))
        await until(lambda: all(redis_of(node).watch.state is State.NORMAL for node in both))
        await company.until(company.all_ready, SETTLE)
        await hear(company, SOME)
        assert len(kept) == PAIRS
        assert all(number > kept[room] for room, number in (await numbers(replica)).items())
        for client in company.clients:
            assert await replica.command("EXISTS", f"guest:{client.session_id}") == 1


async def test_a_redis_that_evicts_sessions_logs_nobody_out() -> None:
    async with (
        valkey("--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "64") as store,
        two(store.url) as (first, second),
    ):
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        idle = await first.newcomer(username="Carla")
        matched = await match(anna, berta)
        await say(anna, berta, "before")
        for node in (first, second):
            await node.application.services.writer.flush()
        used = int((await store.info("memory"))["used_memory"])
        await store.command("CONFIG", "SET", "maxmemory", used + 500_000)
        async with asyncio.timeout(PATIENCE):
            numbers = itertools.count()
            while await store.command("KEYS", "guest:*"):
                for _ in range(10):
                    await store.command("SET", f"another:{next(numbers)}", "x" * 10_000)

        for node in (first, second):
            for account in (one, other, idle):
                answer = await node.http.get("/api/guest/me", headers=account.headers)
                assert answer.status_code == 200, answer.text
        await anna.cut()
        await berta.until("room:partner_away")
        await berta.say("meanwhile", "meanwhile")
        resume = {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 1}
        anna = await until_connected(first, one, resume)
        assert (await anna.until("chat:message"))["content"] == "meanwhile"
        await say(anna, berta, "after")
        carla = await second.connect(idle)
        await carla.until("connection:established")
