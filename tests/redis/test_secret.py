"""The secret that signs tokens, kept in Redis if the operator sets none."""

from __future__ import annotations

import time

from passerby.clock import SystemClock
from passerby.redis.secret import LIFETIME, SharedSecret, shared_secret
from tests.support.valkey import connected, valkey

LONG_ENOUGH = 32


async def test_it_is_made_once_and_outlives_the_process() -> None:
    async with valkey() as server:
        first = await shared_secret(server.url, "", SystemClock())
        assert first is not None
        assert len(first) >= LONG_ENOUGH
        assert await shared_secret(server.url, "", SystemClock()) == first
        assert await shared_secret(server.url, "other:", SystemClock()) != first
        assert LIFETIME - 60 < await server.command("TTL", "passerby:secret") <= LIFETIME


async def test_it_is_kept_when_redis_has_lost_it() -> None:
    async with valkey() as server, connected(server.url) as redis:
        secret = await shared_secret(server.url, "", SystemClock())
        assert secret is not None
        await server.command("FLUSHALL")
        await SharedSecret(redis, secret, SystemClock()).keep()
        assert await shared_secret(server.url, "", SystemClock()) == secret


async def test_a_foreign_value_is_no_secret() -> None:
    async with valkey() as server:
        await server.command("SET", "passerby:secret", "short")
        assert await shared_secret(server.url, "", SystemClock()) is None
        await server.command("DEL", "passerby:secret")
        await server.command("RPUSH", "passerby:secret", "x")
        assert await shared_secret(server.url, "", SystemClock()) is None


async def test_without_redis_there_is_none_and_the_start_is_not_delayed() -> None:
    async with valkey() as server:
        server.kill()
        begun = time.monotonic()
        assert await shared_secret(server.url, "", SystemClock()) is None
        assert time.monotonic() - begun < 2.5
