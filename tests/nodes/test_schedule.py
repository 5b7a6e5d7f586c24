"""The fault schedule: guests of three nodes talk while connections, nodes and Redis fail, one after the other.

`make soak` runs it many times, each with another seed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from tests.nodes.test_processes import Node, node
from tests.support.lasting import Company
from tests.support.valkey import Valkey, valkey

PAIRS = 8
RATE = 150.0
MESSAGES = 1800
CUT_EVERY = 0.05
CUTS = 1.0
"""Seconds of cuts before each failure."""
SETTLE = 60.0
FROZEN = 7.0
"""Seconds: longer than a lease."""
RUNS = int(os.environ.get("FAULT_SCHEDULES", "1"))


class Scattered(Company):
    """Clients that connect to any node, each time to another one."""

    def __init__(self, places: list[str], chance: random.Random) -> None:
        super().__init__(f"http://{places[0]}")
        self.places = places
        self.chance = chance

    @property
    def place(self) -> str:
        return self.chance.choice(self.places)

    @place.setter
    def place(self, _: str) -> None:
        """See `places`."""


class Nodes:
    """Three nodes on one Valkey."""

    def __init__(self, store: Valkey, stack: AsyncExitStack) -> None:
        self.store = store
        self._stack = stack
        self.places: list[str] = []
        self.running: list[Node] = []

    async def begin(self) -> Node:
        running = await self._stack.enter_async_context(node(self.store, LIMITS_SCALE="1000"))
        self.running.append(running)
        self.places.append(urlsplit(running.url).netloc)
        return running

    async def kill(self, chance: random.Random) -> None:
        """Kill a node; another one begins a moment later."""
        victim = chance.choice(self.running)
        self.running.remove(victim)
        os.kill(victim.process.pid, signal.SIGKILL)
        self.places.remove(urlsplit(victim.url).netloc)
        await self.begin()

    async def freeze(self, chance: random.Random) -> None:
        """Stop a node for longer than its lease. Who connects to it waits for nothing, so nobody new does."""
        victim = chance.choice(self.running)
        place = urlsplit(victim.url).netloc
        self.places.remove(place)
        os.kill(victim.process.pid, signal.SIGSTOP)
        await asyncio.sleep(FROZEN)
        os.kill(victim.process.pid, signal.SIGCONT)
        self.places.append(place)

    async def unsubscribe(self, _: random.Random) -> None:
        """Everything that is on the bus is lost."""
        await self.store.command("CLIENT", "KILL", "TYPE", "pubsub")

    async def flush(self, _: random.Random) -> None:
        """Redis loses everything."""
        await self.store.command("FLUSHALL")

    async def restart_redis(self, _: random.Random) -> None:
        """Redis dies, and comes back empty a second later."""
        self.store.kill()
        await asyncio.sleep(1)
        await self.store.start()


async def cutting(company: Scattered, seconds: float) -> None:
    """Cut one connection after the other, and then let all come back."""
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        await asyncio.sleep(CUT_EVERY)
        company.chance.choice(company.clients).cut()
    await company.until(company.all_ready, SETTLE)


@pytest.mark.parametrize("seed", range(RUNS))
async def test_nothing_is_lost_by_one_failure_after_the_other(seed: int) -> None:
    chance = random.Random(seed)
    async with valkey() as store, AsyncExitStack() as stack:
        nodes = Nodes(store, stack)
        for _ in range(3):
            await nodes.begin()
        async with Scattered(nodes.places, chance) as company:
            async with httpx.AsyncClient(base_url=nodes.running[0].url, trust_env=False) as http:
                tokens = [(await http.post("/api/guest")).json()["data"]["token"] for _ in range(2 * PAIRS)]
            await company.meet(tokens)
            company.listen()
            talking = asyncio.create_task(company.talk(MESSAGES, RATE))
            failures = [nodes.kill, nodes.unsubscribe, nodes.flush, nodes.restart_redis, nodes.freeze]
            chance.shuffle(failures)
            for failure in failures:
                await cutting(company, CUTS)
                await failure(chance)
                await company.until(company.all_ready, SETTLE)  # one failure at a time
            await talking
            account = await company.settle(SETTLE)
            assert account.is_clean, (seed, [failure.__name__ for failure in failures], account)
            assert not company.happenings.faults, (seed, company.happenings.faults)
