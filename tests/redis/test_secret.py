"""The secret that signs tokens, kept in Redis if the operator sets none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.clock import SystemClock
from passerby.redis.secret import LIFETIME, SharedSecret
from tests.support.valkey import connected, valkey

if TYPE_CHECKING:
    from passerby.redis.client import Redis

OWN = "a secret of this process, long enough"
OTHERS = "a secret of an earlier process, long enough"
KEY = "passerby:secret"


def shared(redis: Redis, own: str = OWN) -> tuple[SharedSecret, list[str]]:
    adopted: list[str] = []
    return SharedSecret(redis, SystemClock(), own, adopted.append), adopted


async def test_the_first_one_is_kept_and_later_processes_adopt_it() -> None:
    async with valkey() as server, connected(server.url) as redis:
        first, adopted = shared(redis)
        await first.keep()
        later, adopted_later = shared(redis, OTHERS)
        await later.keep()

        assert (adopted, adopted_later) == ([OWN], [OWN])
        assert LIFETIME - 60 < await server.command("TTL", KEY) <= LIFETIME


async def test_it_is_written_again_when_redis_has_lost_it() -> None:
    async with valkey() as server, connected(server.url) as redis:
        secret, adopted = shared(redis)
        await server.command("SET", KEY, OTHERS)
        await secret.keep()
        await server.command("FLUSHALL")
        await secret.keep()

        assert adopted == [OTHERS, OTHERS]
        assert await server.command("GET", KEY) == OTHERS.encode()


@pytest.mark.parametrize("foreign", [("SET", KEY, "short"), ("RPUSH", KEY, "x"), ("SET", KEY, b"\xff" * 40)])
async def test_a_foreign_value_is_no_secret(foreign: tuple[str | bytes, ...]) -> None:
    async with valkey() as server, connected(server.url) as redis:
        await server.command(*foreign)
        secret, adopted = shared(redis)
        await secret.keep()

        assert adopted == [OWN]
        assert await server.command("GET", KEY) == OWN.encode()
        assert await server.command("TTL", KEY) > 0
