"""Workers as one Passerby: guests of all of them talk while workers, and their Valkey, die or are replaced."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.client import Client
from tests.support.lasting import Company
from tests.support.workers import tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.workers import Workers
    from tests.workers.conftest import StartWorkers

PAIRS = 10
RATE = 200.0
MESSAGES = 1600
RETURNS = 5
CROWD, CROWDS = 20, 6
"""Connections of a guest at once, and guests who have so many."""
SETTLED = 10.0
"""Seconds after which only one is open: a mistake would be noticed by itself, but much later."""
SPREAD = 0.05
"""Seconds in which these begin."""


async def tokens(url: str, count: int) -> list[str]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        return [(await http.post("/api/guest")).json()["data"]["token"] for _ in range(count)]


async def test_a_reconnect_with_at_reaches_the_worker_of_the_room(start_workers: StartWorkers) -> None:
    crew = start_workers(3)
    url = crew.process.url
    own = await tokens(url, 2)
    pair = [await Client.connect(url, {"token": token}) for token in own]
    for one in pair:
        assert (await one.until("connection:established"))["at"].startswith("node_")
    for one in pair:
        await one.emit("user:match")
    places = {(await one.until("user:matched"))["at"] for one in pair}
    assert len(places) == 1, "both live there"
    place = places.pop()
    tags = set()
    for _ in range(RETURNS):
        for one, token in zip(pair, own, strict=True):
            await one.close()
            back = await Client.connect(url, {"token": token}, f"&at={place}")
            greeting = await back.until("connection:established")
            assert greeting["at"] == place
            assert greeting["room"] is not None
            tags.add(tag(back.sid))
            await back.close()
    assert len(tags) == 1, "the connection and the guest are at the same worker"


async def test_of_many_connections_of_a_guest_at_once_one_is_left(start_workers: StartWorkers) -> None:
    crew = start_workers(3)
    url = crew.process.url
    tags = list(await crew.sids(3))

    async def connect(token: str) -> Client:
        await asyncio.sleep(random.random() * SPREAD)
        return await Client.connect(url, {"token": token}, f"&at={random.choice(tags)}")

    for token in await tokens(url, CROWDS):
        met = await asyncio.gather(*(connect(token) for _ in range(CROWD)), return_exceptions=True)
        clients = [client for client in met if isinstance(client, Client)]
        async with asyncio.timeout(SETTLED):
            while sum(client.is_open for client in clients) > 1:  # noqa: ASYNC110 - nothing tells when all know
                await asyncio.sleep(0.01)
        (left,) = [client for client in clients if client.is_open]
        await left.emit("user:match")
        await left.until("user:match:searching")
        for client in clients:
            await client.close()


def kill_one(crew: Workers) -> None:
    os.kill(crew.workers()[0], signal.SIGKILL)


def freeze_one(crew: Workers) -> None:
    os.kill(crew.workers()[1], signal.SIGSTOP)


def restart_all(crew: Workers) -> None:
    os.kill(crew.process.pid, signal.SIGHUP)


def kill_valkey(crew: Workers) -> None:
    pid = crew.valkey()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("failure", [kill_one, freeze_one, restart_all, kill_valkey])
async def test_no_message_is_lost(start_workers: StartWorkers, failure: Callable[[Workers], None]) -> None:
    crew = start_workers(3)
    async with Company(crew.process.url) as company:
        await company.meet(await tokens(crew.process.url, 2 * PAIRS))
        talking = asyncio.create_task(company.talk(MESSAGES, RATE))
        await asyncio.wait([talking], timeout=MESSAGES / RATE / 4)
        failure(crew)
        await talking
        account = await company.settle(60)
        faults = company.happenings.faults
        assert account.is_clean, account
        assert not faults, faults
    await crew.until(lambda: len(crew.workers()) == 3)
