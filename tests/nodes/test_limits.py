"""Limits per address of several servers on one Valkey: as those of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.limits import Rate
from tests.nodes.test_moving import running, until
from tests.support.client import RefusedError

if TYPE_CHECKING:
    from tests.nodes.test_moving import Nodes
    from tests.support.server import InsideServer

SLOW = 0.001
"""Tokens a second: none comes while a test runs."""


async def sessions(node: InsideServer, count: int) -> list[int]:
    return [(await node.http.post("/api/guest", json={})).status_code for _ in range(count)]


async def known_to_all(nodes: Nodes) -> None:
    """Wait until Redis has answered what nobody waits for."""
    for node in nodes.all:
        redis = node.application.services.adapters.redis
        assert redis is not None
        await redis.command("PING")


async def test_sessions_of_an_address_are_counted_by_all_nodes() -> None:
    async with running(2, limit_address_sessions=Rate(5, SLOW)) as nodes:
        first, second = nodes.all
        assert await sessions(first, 3) == [201] * 3
        assert await sessions(second, 3) == [201, 201, 429]
        refused = await first.http.post("/api/guest", json={})
        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_limited"
        assert int(refused.headers["retry-after"]) == pytest.approx(1000, abs=10)

        third = await nodes.start(limit_address_sessions=Rate(5, SLOW))
        assert await sessions(third, 1) == [429], "one that starts gives nobody a new burst"


async def test_uploads_of_an_address_are_counted_by_all_nodes() -> None:
    async with running(2, limit_address_uploads=Rate(3, SLOW)) as nodes:
        first, second = nodes.all
        account = await first.newcomer()

        async def upload(node: InsideServer) -> int:
            answer = await node.http.post("/api/files/upload", headers=account.headers, content=b"")
            return answer.status_code

        taken = [await upload(node) for node in (first, second, first)]
        assert 429 not in taken
        assert [await upload(node) for node in (first, second)] == [429, 429]


async def test_connections_of_an_address_are_counted_by_all_nodes() -> None:
    async with running(2, limit_address_connects=Rate(6, SLOW)) as nodes:
        first, second = nodes.all
        accounts = [await first.newcomer() for _ in range(4)]
        for number, account in enumerate(accounts[:3]):  # a handshake and a CONNECT each
            client = await nodes.all[number % 2].connect(account)
            await client.until("connection:established")
            await known_to_all(nodes)

        with pytest.raises(RefusedError) as refused:
            await second.connect(accounts[3])
        assert refused.value.data["code"] == "rate_limited"
        assert refused.value.data["retryAfter"] == pytest.approx(1000, abs=1010)
        await until(lambda: sum(len(node.lives()) for node in nodes.all) == 3)


async def test_while_redis_is_away_each_node_counts_for_itself() -> None:
    async with running(2, limit_address_sessions=Rate(4, SLOW)) as nodes:
        first, second = nodes.all
        assert await sessions(first, 1) == [201]
        assert await sessions(second, 1) == [201]
        nodes.server.kill()

        assert await sessions(first, 4) == [201, 201, 201, 429]
        assert await sessions(second, 4) == [201, 201, 429, 429]
