"""Many clients who come, search, talk, leave and vanish at random; then everything is counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import pytest

from tests.support.client import PATIENCE, RefusedError

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.server import Account, InsideServer

GUESTS = 60
STEPS = 12
GRACE = 1.0


class Wanderer:
    """One guest who does anything at any time."""

    def __init__(self, server: InsideServer, account: Account, seed: int) -> None:
        self._server = server
        self.account = account
        self._random = random.Random(seed)
        self.client: Client | None = None
        self.ended = False

    async def wander(self) -> None:
        for _ in range(STEPS):
            if self.ended:
                return
            with contextlib.suppress(ConnectionError):  # replaced or ended in this very moment
                await (self._act(self.client) if self.client is not None and self.client.is_open else self._connect())

    async def _connect(self) -> None:
        if self.client is not None:
            await self.client.close()
            self.client = None
        try:
            self.client = await self._server.connect(self.account)
        except RefusedError as error:
            assert error.message == "Guest session not found or expired"  # noqa: PT017 - the grace may be over
            self.ended = True

    async def _act(self, client: Client) -> None:
        match self._random.choices(range(8), [6, 1, 6, 2, 2, 2, 1, 1])[0]:
            case 0:
                await client.emit("user:match")
            case 1:
                await client.emit("user:match:cancel")
            case 2:
                await client.emit("chat:message", {"type": "text", "content": "hello"})
            case 3:
                await client.emit("leave-room")
            case 4:
                await client.cut()
            case 5:
                await client.close()
            case 6:
                await self._server.connect(self.account)  # in place of the one before
            case _:
                await self._server.http.delete("/api/guest/me", headers=self.account.headers)
                self.ended = True


async def settled(server: InsideServer) -> None:
    """Wait until every connection that has ended is known to have ended, and the rest is done."""
    services = server.application.services
    await services.background.settle()
    await services.writer.flush()


@pytest.fixture
async def stormy(start_server: StartServer) -> InsideServer:
    return await start_server(grace=GRACE, limits_scale=1000.0, stats_interval=0.2)


async def test_after_a_storm_the_counts_equal_a_recount(stormy: InsideServer) -> None:
    wanderers = [Wanderer(stormy, await stormy.newcomer(), seed) for seed in range(GUESTS)]
    await asyncio.gather(*(wanderer.wander() for wanderer in wanderers))

    # A witness connects last and asks: events of one socket are handled in order, and so are the ends of others.
    witness, client = await stormy.visitor()
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            await settled(stormy)
            lives = stormy.lives()
            if all(live.link is not None for live in lives):
                break
            await client.until("realtime:stats")  # a grace that ends is a change, and so is told

    stats = await stormy.stats(witness)
    recount = stormy.recount()
    assert {name: stats[name] for name in recount} == recount
    live_sessions = {live.guest.session_id for live in lives}
    assert stats["totalUsers"] == len(live_sessions)
    tickets = sum(live.ticket is not None for live in lives)
    assert stormy.application.services.matchmaking.waiting == tickets
    assert tickets <= 1
    for live in lives:
        if live.member is not None:
            assert live.member.partner.live.member is live.member.partner
            assert live.member.partner.live is not live
    sockets = (await stormy.http.get("/api/socket/stats")).json()["data"]
    assert sockets["guests"] == recount["onlineUsers"]
    assert sockets["rooms"] == recount["connectedUsers"]


async def test_when_everybody_has_gone_nothing_is_left(stormy: InsideServer) -> None:
    pairs = [await stormy.pair() for _ in range(10)]
    witness, watcher = await stormy.visitor()
    await asyncio.gather(*(member[1].cut() for first, second, _ in pairs for member in (first, second)))
    async with asyncio.timeout(2 * PATIENCE):
        while (await watcher.next("realtime:stats"))["stats"]["totalUsers"] != 1 or len(stormy.lives()) > 1:
            pass

    assert await stormy.stats(witness) == {
        "totalUsers": 1,
        "onlineUsers": 1,
        "activeUsers": 1,
        "availableUsers": 1,
        "connectedUsers": 0,
    }
    application = stormy.application
    assert len(application.server.namespace("/").sockets) == 1
    assert len(application.server.engine.sessions) == 1
    assert (
        application.services.rooms.count,
        application.services.rooms.online_members,
        application.services.matchmaking.waiting,
    ) == (0, 0, 0)


async def test_a_hundred_who_search_at_once_all_meet(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000.0)
    visitors = await asyncio.gather(*(server.visitor() for _ in range(100)))
    await asyncio.gather(*(client.emit("user:match") for _, client in visitors))
    matched = await asyncio.gather(*(client.until("user:matched") for _, client in visitors))

    partners = {account.id: match["matchedUser"]["id"] for (account, _), match in zip(visitors, matched, strict=True)}
    assert all(partners[partner] == own != partner for own, partner in partners.items())
    assert (await server.stats(visitors[0][0]))["connectedUsers"] == 50
