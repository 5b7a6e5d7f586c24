"""Guests talk while connections are lost, the server is killed, and Redis fails: no message is lost or comes twice.

`make soak` does the same for longer (ROUNDS).
"""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.lasting import Company, talking_on
from tests.support.ports import free_port
from tests.support.server import SECRET, RunningServer, http_client
from tests.support.valkey import until, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import StartServer
    from tests.support.server import ServerProcess
    from tests.support.valkey import Valkey

PAIRS = 6
RATE = 300.0
"""Messages a second of all guests together."""
ROUNDS = int(os.environ.get("ROUNDS", "2"))
"""How often each thing happens."""
PATIENCE = 0.2
"""Of clients: they come back sooner than the official one, and the tests end sooner."""
CUTS = 24
SCALE = "1000"
SECONDS = 60.0
"""Timeout for what takes a server or Redis that starts; it only limits the duration of a failure."""


@asynccontextmanager
async def talking(server: RunningServer, guests: int = 2 * PAIRS) -> AsyncIterator[Company]:
    """Let pairs talk without a pause; in the end everything must have arrived, once and in order."""
    async with Company(server.url, PATIENCE) as company:
        await company.meet([(await server.newcomer()).token for _ in range(guests)])
        async with talking_on(company, RATE, SECONDS):
            yield company


async def hear(company: Company, messages: int) -> None:
    """Wait until so many more messages have arrived, in all."""
    heard = company.happenings.heard
    await company.until(lambda: company.happenings.heard >= heard + messages, SECONDS)


async def all_hear(company: Company) -> None:
    """Wait until every guest has heard something new."""
    company.listen()
    await company.until(lambda: company.happenings.listeners == len(company.clients), SECONDS)


async def test_lost_connections(start_server: StartServer) -> None:
    server = await start_server(limits_scale=float(SCALE))
    async with talking(server) as company:
        for number in range(CUTS):
            await hear(company, 20)
            random.Random(number).choice(company.clients).cut()
    assert company.happenings.losses >= CUTS / 2


# ── with Redis ────────────────────────────────────────────────────────────────────────────────────


class Killed:
    """A server process with its state in Redis, which is killed and started again on the same port."""

    def __init__(self, start: Callable[..., ServerProcess], store: Valkey) -> None:
        self._arguments = "--port", str(free_port()), "--limits-scale", SCALE
        self._start = start
        self._store = store
        self.process = self._begin().wait_until_ready()

    def _begin(self) -> ServerProcess:
        return self._start(*self._arguments, JWT_SECRET=SECRET, REDIS_URL=self._store.url)

    def kill(self) -> None:
        """Kill the process, and start another; return at once."""
        self.process.stop()
        self.process = self._begin()


async def redis(http: httpx.AsyncClient) -> dict[str, Any]:
    """Return how Redis fares, as the server tells it; nothing while it does not serve."""
    try:
        answer = await http.get("/api/socket/stats")
    except httpx.TransportError:
        return {"state": "", "normal": 0, "degraded": 0, "resync": 0}
    fares: dict[str, Any] = answer.json()["data"]["redis"]
    return fares


def troubles(fares: dict[str, Any]) -> int:
    """Return how often something was wrong with Redis."""
    return int(fares["degraded"] + fares["resync"])


async def until_normal(http: httpx.AsyncClient, times: int = 0) -> None:
    """Wait until Redis has had everything for more than so many times, and has it now."""

    async def is_normal() -> bool:
        fares = await redis(http)
        return bool(fares["state"] == "normal" and fares["normal"] > times)

    await until(is_normal, patience=SECONDS)


async def assert_saved(store: Valkey, company: Company) -> None:
    """Check that Redis has every session and every room."""
    for client in company.clients:
        assert await store.command("EXISTS", f"guest:{client.session_id}") == 1
    indexes = await store.command("KEYS", "rooms:*")
    assert sum([await store.command("ZCARD", index) for index in indexes]) == len(company.clients) // 2


async def test_kills_of_the_server(start_process: Callable[..., ServerProcess]) -> None:
    async with valkey() as store:
        killed = Killed(start_process, store)
        async with http_client(killed.process.url) as http:
            await until_normal(http)
            async with talking(RunningServer(killed.process.url, http)) as company:
                for number in range(ROUNDS):
                    await hear(company, 200)
                    killed.kill()
                    await all_hear(company)
                    assert company.happenings.losses >= len(company.clients) * (number + 1)
                    assert company.happenings.ready == len(company.clients)
                await assert_saved(store, company)


async def fail_by_kill(store: Valkey, noticed: Callable[[], Any]) -> None:
    store.kill()
    await noticed()
    await store.start()


async def fail_by_flush(store: Valkey, noticed: Callable[[], Any]) -> None:
    await store.command("FLUSHALL")
    await noticed()


async def fail_by_freeze(store: Valkey, noticed: Callable[[], Any]) -> None:
    store.freeze()
    try:
        await noticed()
    finally:
        store.thaw()


FAILURES = {"kill": fail_by_kill, "flush": fail_by_flush, "freeze": fail_by_freeze}


@pytest.mark.parametrize("failure", FAILURES)
async def test_failures_of_redis(start_server: StartServer, failure: str) -> None:
    async with valkey() as store:
        server = await start_server(limits_scale=float(SCALE), redis_url=store.url)
        await until_normal(server.http)
        async with talking(server) as company:
            for _ in range(ROUNDS if ROUNDS > 2 else 1):
                await hear(company, 100)
                before = await redis(server.http)

                async def noticed(before: dict[str, Any] = before) -> None:
                    async def is_noticed() -> bool:
                        fares = await redis(server.http)
                        return troubles(fares) > troubles(before)

                    await until(is_noticed, patience=SECONDS)
                    await hear(company, 200)

                await FAILURES[failure](store, noticed)
                await until_normal(server.http, before["normal"])
                await assert_saved(store, company)
                await hear(company, 100)
        assert company.happenings.losses == 0


async def test_kills_of_the_server_and_of_redis_in_turn(start_process: Callable[..., ServerProcess]) -> None:
    async with valkey() as store:
        killed = Killed(start_process, store)
        async with http_client(killed.process.url) as http:
            await until_normal(http)
            async with talking(RunningServer(killed.process.url, http)) as company:
                for _ in range(ROUNDS if ROUNDS > 2 else 1):
                    before = await redis(http)
                    store.kill()
                    await store.start()
                    await until_normal(http, before["normal"])
                    await hear(company, 100)
                    killed.kill()
                    await all_hear(company)
                    await until_normal(http)
                    await assert_saved(store, company)
