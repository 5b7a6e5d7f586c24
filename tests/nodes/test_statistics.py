"""Statistics of several servers on one Valkey: as those of one."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from passerby import ids
from tests.nodes.test_moving import others, running, until
from tests.support.server import RunningServer, ServerProcess, http_client
from tests.support.valkey import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.live import LiveGuest
    from passerby.stats.events import RealtimeStats
    from tests.nodes.test_moving import Nodes
    from tests.support.client import Client
    from tests.support.server import InsideServer

INTERVAL = 0.2
FRAMES = 80
GUESTS = 20
"""Of each node: a broadcast to all of them takes half a second, more than an interval."""


def broadcasts(client: Client) -> list[dict[str, Any]]:
    return [payload for name, payload in client.heard if name == "realtime:stats"]


def names(stats: dict[str, Any]) -> list[str]:
    return [user["username"] for user in stats["onlineUsers"]]


def last_names(client: Client) -> list[str]:
    """Return whom the last broadcast shows; nobody before the first one."""
    return [name for stats in broadcasts(client)[-1:] for name in names(stats)]


def seconds(stats: dict[str, Any]) -> float:
    return datetime.fromisoformat(stats["timestamp"]).timestamp()


async def sees(client: Client, *shown: str) -> dict[str, Any]:
    """Wait until the last broadcast shows and counts exactly these guests, the newest first; return it.

    A node that is gone is not shown any more a moment before its guests do not count: then there is another broadcast.
    """

    def is_shown() -> bool:
        last = broadcasts(client)[-1:]
        return any(names(stats) == [*shown] and stats["stats"]["onlineUsers"] == len(shown) for stats in last)

    await until(is_shown)
    return broadcasts(client)[-1]


@asynccontextmanager
async def unrest(*nodes: InsideServer) -> AsyncIterator[None]:
    """Have changes all the time."""

    async def change() -> None:
        for node in itertools.cycle(nodes):
            node.application.services.stats.changed()
            await asyncio.sleep(0.01)

    task = asyncio.ensure_future(change())
    try:
        yield
    finally:
        task.cancel()


@pytest.fixture
def last_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ids of nodes of this process come after those of other processes, in the order of starting."""
    numbers = itertools.count(1)
    monkeypatch.setattr(ids, "node_id", lambda: f"node_z{next(numbers)}")


@pytest.fixture
async def nodes(last_ids: None) -> AsyncIterator[Nodes]:
    async with running(2, stats_interval=INTERVAL) as nodes:
        yield nodes


async def test_each_guest_sees_the_guests_of_both_nodes(nodes: Nodes) -> None:
    first, second = nodes.all
    _, anna = await first.visitor(username="Anna")
    _, berta = await second.visitor(username="Berta")
    _, carla = await first.visitor(username="Carla")
    for client in (anna, berta, carla):
        await sees(client, "Carla", "Berta", "Anna")

    await berta.cut()
    for client in (anna, carla):
        await sees(client, "Carla", "Anna")


async def test_a_search_on_one_node_is_seen_on_the_other(nodes: Nodes) -> None:
    first, second = nodes.all
    _, anna = await first.visitor(username="Anna")
    _, berta = await second.visitor(username="Berta")
    await berta.emit("user:match")
    await until(lambda: any(user["isSearching"] for stats in broadcasts(anna) for user in stats["onlineUsers"]))


async def test_both_nodes_have_the_same_broadcasts_and_one_in_an_interval(nodes: Nodes) -> None:
    first, second = nodes.all
    (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    for client in (anna, berta):
        await sees(client, "Berta", "Anna")
    begun = {client: len(broadcasts(client)) for client in (anna, berta)}
    async with unrest(first, second):
        await until(lambda: all(len(broadcasts(client)) > begun[client] + 10 for client in begun))

    one, other = ([seconds(stats) for stats in broadcasts(client)] for client in (anna, berta))
    assert all(later - earlier > INTERVAL * 0.9 for earlier, later in itertools.pairwise(one[-11:]))
    common = other.index(one[-5])
    assert other[common - 4 : common + 1] == one[-9:-4]


async def test_all_nodes_together_send_no_more_frames_than_allowed(
    last_ids: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[float, int]] = []
    now = asyncio.get_running_loop().time
    async with running(2, stats_interval=INTERVAL, stats_frames=FRAMES, limits_scale=1000) as nodes:
        for node in nodes.all:
            for _ in range(GUESTS):
                await node.visitor()
            publish = node.application.services.stats._publish

            def counted(event: RealtimeStats, guests: list[LiveGuest], publish: Any = publish) -> None:  # noqa: ANN401 - as above
                sent.append((now(), len(guests)))
                publish(event, guests)

            monkeypatch.setattr(node.application.services.stats, "_publish", counted)
        async with unrest(*nodes.all):
            await until(lambda: sum(count for _, count in sent) > 8 * GUESTS)

    begun = sent[0][0]
    rate = sum(count for _, count in sent) / (sent[-1][0] - begun)
    assert rate < FRAMES * 1.2
    assert rate > FRAMES / 4


async def test_a_change_after_a_quiet_while_is_told_at_once(nodes: Nodes) -> None:
    first, second = nodes.all
    (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    for client in (anna, berta):
        await sees(client, "Berta", "Anna")
    for node in nodes.all:
        await until(lambda node=node: not node.application.services.stats._resting)  # type: ignore[misc]  # bound
    _, carla = await second.visitor(username="Carla")
    for client in (anna, berta, carla):
        await sees(client, "Carla", "Berta", "Anna")


async def test_the_sample_is_of_those_who_came_last_to_any_node(last_ids: None) -> None:
    async with running(2, stats_interval=INTERVAL, online_sample=3) as nodes:
        clients = [(await nodes.all[number % 2].visitor(username=f"Guest{number}"))[1] for number in range(5)]
        for client in clients:
            await until(lambda client=client: last_names(client) == ["Guest4", "Guest3", "Guest2"])  # type: ignore[misc]  # bound
            assert broadcasts(client)[-1]["stats"]["onlineUsers"] == 5


async def test_every_node_answers_for_all(nodes: Nodes) -> None:
    first, second = nodes.all
    (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    for client in (anna, berta):
        await sees(client, "Berta", "Anna")
        asked = len(broadcasts(client))
        await client.emit("get:stats")
        await until(lambda client=client, asked=asked: len(broadcasts(client)) > asked)  # type: ignore[misc]  # bound
        assert names(broadcasts(client)[-1]) == ["Berta", "Anna"]
    for node, account in ((first, one), (second, other)):
        answer = await node.http.get("/api/stats/online-users", headers=account.headers)
        assert [user["username"] for user in answer.json()["data"]["onlineUsers"]] == ["Berta", "Anna"]
        assert (await node.stats(account))["onlineUsers"] == 2


@pytest.fixture
async def first(nodes: Nodes) -> AsyncIterator[tuple[ServerProcess, RunningServer]]:
    """A process that is the first of the nodes."""
    process = ServerProcess(REDIS_URL=nodes.server.url, STATS_INTERVAL=str(INTERVAL), JWT_SECRET="x" * 32, WORKERS="1")
    try:
        await asyncio.to_thread(process.wait_until_ready)
        await until(lambda: all(len(others(node)) == 2 for node in nodes.all))
        assert all(min(others(node)) < "node_z" for node in nodes.all)
        async with http_client(process.url) as http:
            server = RunningServer(process.url, http)
            yield process, server
            await server.close()
    finally:
        process.stop()


async def test_a_first_node_that_is_killed_is_replaced(
    nodes: Nodes, first: tuple[ServerProcess, RunningServer]
) -> None:
    process, doomed = first
    _, anna = await doomed.visitor(username="Anna")
    clients = [(await node.visitor(username=f"Guest{at}"))[1] for at, node in enumerate(nodes.all)]
    for client in (anna, *clients):
        await sees(client, "Guest1", "Guest0", "Anna")

    process.stop()
    for client in clients:
        await sees(client, "Guest1", "Guest0")
    _, late = await nodes.all[1].visitor(username="Late")
    for client in (*clients, late):
        await sees(client, "Late", "Guest1", "Guest0")


async def test_a_first_node_that_is_frozen_keeps_nobody_waiting(
    nodes: Nodes, first: tuple[ServerProcess, RunningServer]
) -> None:
    process, frozen = first
    await frozen.visitor(username="Anna")
    _, berta = await nodes.all[0].visitor(username="Berta")
    await sees(berta, "Berta", "Anna")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        _, carla = await nodes.all[0].visitor(username="Carla")
        for client in (berta, carla):
            await until(lambda client=client: last_names(client)[:2] == ["Carla", "Berta"])  # type: ignore[misc]  # bound
        await until(lambda: all(len(others(node)) == 1 for node in nodes.all))
        for client in (berta, carla):
            await sees(client, "Carla", "Berta")
    finally:
        os.kill(process.pid, signal.SIGCONT)
    await until(lambda: all(len(others(node)) == 2 for node in nodes.all))
    _, dora = await frozen.visitor(username="Dora")
    for client in (berta, carla, dora):
        await until(lambda client=client: last_names(client)[:3] == ["Dora", "Carla", "Berta"])  # type: ignore[misc]  # bound


async def test_a_first_node_that_stops_is_replaced(nodes: Nodes) -> None:
    first, second = nodes.all
    _, anna = await first.visitor(username="Anna")
    _, berta = await second.visitor(username="Berta")
    await sees(berta, "Berta", "Anna")
    await first.application.stop()
    await anna.gone()

    await sees(berta, "Berta")
    _, carla = await second.visitor(username="Carla")
    for client in (berta, carla):
        await sees(client, "Carla", "Berta")


async def test_while_redis_is_away_each_node_has_broadcasts_for_its_own_guests(nodes: Nodes) -> None:
    first, second = nodes.all
    _, anna = await first.visitor(username="Anna")
    _, berta = await second.visitor(username="Berta")
    for client in (anna, berta):
        await sees(client, "Berta", "Anna")
    nodes.server.kill()
    for node in nodes.all:
        redis = node.application.services.adapters.redis
        assert redis is not None
        async with asyncio.timeout(PATIENCE):
            while redis.is_usable:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
    account = await second.newcomer(username="Carla")
    carla = await second.connect(account)
    for client in (berta, carla):
        await until(lambda client=client: "Carla" in last_names(client))  # type: ignore[misc]  # bound
    await sees(anna, "Anna")
    for client in (berta, carla):
        await sees(client, "Carla", "Berta")

    await nodes.server.start()
    for client in (anna, berta, carla):
        await sees(client, "Carla", "Berta", "Anna")
