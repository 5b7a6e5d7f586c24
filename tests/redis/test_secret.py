"""The secret that signs tokens, kept in Redis if the operator sets none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.clock import SystemClock
from passerby.redis.secret import LIFETIME, MOST, SharedSecret
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from passerby.redis.client import Redis

OWN = "a-secret-of-this-process,-long-enough"
OTHERS = "a-secret-of-an-earlier-process,-long-enough"
KEY = "passerby:secret"


def shared(redis: Redis, own: str = OWN, *, is_used: bool = False) -> tuple[SharedSecret, list[tuple[str, ...]]]:
    adopted: list[tuple[str, ...]] = []
    return SharedSecret(redis, SystemClock(), own, adopted.append, lambda: is_used), adopted


async def test_the_first_one_is_kept_and_later_processes_adopt_it() -> None:
    async with valkey() as server, connected(server.url) as redis:
        first, adopted = shared(redis)
        await first.keep()
        later, adopted_later = shared(redis, OTHERS)
        await later.keep()

        assert (adopted, adopted_later) == ([(OWN,)], [(OWN,)])
        assert LIFETIME - 60 < await server.command("TTL", KEY) <= LIFETIME


async def test_it_is_written_again_when_redis_has_lost_it() -> None:
    async with valkey() as server, connected(server.url) as redis:
        secret, adopted = shared(redis)
        await server.command("SET", KEY, OTHERS)
        await secret.keep()
        await server.command("FLUSHALL")
        await secret.keep()

        assert adopted == [(OTHERS,), (OTHERS,)]
        assert await server.command("GET", KEY) == OTHERS.encode()


@pytest.mark.parametrize(
    "foreign", [("SET", KEY, "short"), ("RPUSH", KEY, "x"), ("SET", KEY, b"\xff" * 40), ("SET", KEY, f"{OTHERS} x")]
)
async def test_a_foreign_value_is_no_secret(foreign: tuple[str | bytes, ...]) -> None:
    async with valkey() as server, connected(server.url) as redis:
        await server.command(*foreign)
        secret, adopted = shared(redis)
        await secret.keep()

        assert adopted == [(OWN,)]
        assert await server.command("GET", KEY) == OWN.encode()
        assert await server.command("TTL", KEY) > 0


async def test_what_was_signed_before_redis_was_there_stays_valid_for_later_processes() -> None:
    async with valkey() as server, connected(server.url) as redis:
        await server.command("SET", KEY, OTHERS)
        early, adopted = shared(redis, is_used=True)
        await early.keep()
        later, adopted_later = shared(redis, "a-secret-that-signs-nothing,-long-enough")
        await later.keep()

        assert adopted == adopted_later == [(OTHERS, OWN)]
        await server.command("FLUSHALL")
        await later.keep()
        assert await server.command("GET", KEY) == f"{OTHERS} {OWN}".encode()


async def test_only_the_newest_of_such_secrets_are_kept() -> None:
    async with valkey() as server, connected(server.url) as redis:
        early = [f"secret-of-the-process-with-the-number-{number}" for number in range(MOST + 2)]
        for secret in early:
            process, _ = shared(redis, secret, is_used=True)
            await process.keep()

        assert await server.command("GET", KEY) == " ".join((early[0], *early[1 - MOST :])).encode()
        assert await server.command("TTL", KEY) > 0
