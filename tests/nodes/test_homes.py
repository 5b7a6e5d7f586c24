"""The contract of homes, for each adapter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from passerby.nodes.homes_memory import MemoryHomes
from passerby.nodes.homes_redis import LIFETIME, RedisHomes
from tests.support.valkey import Valkey, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from passerby.nodes.homes import Homes

    Make = Callable[[str], Homes]


@pytest.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Return a function that returns the homes as a node sees them."""
    if request.param == "memory":
        shared: dict[str, str] = {}
        yield lambda node: MemoryHomes(node, shared)
        return
    async with valkey() as server, connected(server.url) as redis:
        yield lambda node: RedisHomes(redis, node)


async def test_the_first_one_gets_a_guest_who_has_no_home(make: Make) -> None:
    a, b = make("a"), make("b")
    assert await a.find("s") is None
    assert [await a.claim("s"), await b.claim("s"), await a.claim("s")] == ["a", "a", "a"]
    assert await b.find("s") == "a"


async def test_of_many_that_claim_at_once_one_gets_it(make: Make) -> None:
    homes = [make(f"node_{number}") for number in range(20)]
    assert len(set(await asyncio.gather(*(one.claim("s") for one in homes)))) == 1


async def test_a_home_that_is_gone_is_replaced_once(make: Make) -> None:
    a, b, c = make("a"), make("b"), make("c")
    await a.claim("s")
    assert await b.claim("s", "x") == "a", "another one is gone"
    assert await b.claim("s", "a") == "b"
    assert await c.claim("s", "a") == "b"


@pytest.mark.parametrize("value", [b"\xff", b"", b"two words", b"x" * 100 + b"\n"])
async def test_what_is_no_id_of_a_node_is_replaced(value: bytes) -> None:
    async with valkey() as server, connected(server.url) as redis:
        await redis.command("SET", "home:s", value)
        assert await RedisHomes(redis, "a").claim("s") == "a"


async def test_only_the_home_gives_a_guest_away_and_releases_them(make: Make) -> None:
    a, b, c = make("a"), make("b"), make("c")
    await a.claim("s")
    b.give("s", "b")
    b.release("s")
    assert await a.find("s") == "a"
    a.give("s", "c")
    assert await b.find("s") == "c"
    a.release("s")
    assert await b.find("s") == "c"
    c.release("s")
    assert await b.find("s") is None


async def test_what_is_kept_says_who_lives_elsewhere_and_gives_back_what_is_lost(make: Make) -> None:
    a, b = make("a"), make("b")
    await a.claim("mine")
    await b.claim("theirs")
    assert await a.keep(["mine", "theirs", "lost"]) == ["theirs"]
    assert [await b.find(name) for name in ("mine", "theirs", "lost")] == ["a", "b", "a"]
    assert await a.keep([]) == []


async def test_a_home_in_redis_expires_and_a_foreign_value_is_replaced() -> None:
    async with valkey() as server, connected(server.url) as redis:
        await server.command("RPUSH", "home:s", "foreign")
        assert await RedisHomes(redis, "a").claim("s") == "a"
        assert await ttl(server) > LIFETIME - 10


async def ttl(server: Valkey) -> int:
    return int(await server.command("TTL", "home:s"))
