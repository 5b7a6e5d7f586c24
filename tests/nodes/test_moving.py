"""Guests on different nodes: several servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.server import Account, InsideServer, inside
from tests.support.valkey import PATIENCE, Valkey, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.client import Client


class Nodes:
    """Servers on one Valkey."""

    def __init__(self, server: Valkey, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack
        self.all: list[InsideServer] = []

    async def start(self, **settings: object) -> InsideServer:
        node = await self._stack.enter_async_context(inside(redis_url=self.server.url, **settings))
        self.all.append(node)
        cluster = node.application.services.adapters.cluster
        assert cluster is not None
        assert await cluster.bus.ready(PATIENCE)
        await until(lambda: all(len(others(one)) == len(self.all) - 1 for one in self.all))
        return node


def others(node: InsideServer) -> set[str]:
    cluster = node.application.services.adapters.cluster
    assert cluster is not None
    return cluster.membership.alive() - {cluster.bus.node}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(count: int, **settings: object) -> AsyncIterator[Nodes]:
    async with valkey() as server, AsyncExitStack() as stack:
        nodes = Nodes(server, stack)
        for _ in range(count):
            await nodes.start(**settings)
        yield nodes


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with running(2) as nodes:
        yield nodes


async def match(one: Client, other: Client) -> dict[str, Any]:
    """Match two clients, wherever they are; return the first one's `user:matched`."""
    await one.emit("user:match")
    await one.until("user:match:no_users")
    await other.emit("user:match")
    matched: dict[str, Any] = await one.until("user:matched")
    assert (await other.until("user:matched"))["roomId"] == matched["roomId"]
    return matched


async def say(sender: Client, receiver: Client, text: str) -> None:
    sent = await sender.say(text, text)
    assert sent["status"] == "sent"
    assert (await receiver.until("chat:message"))["content"] == text


async def test_guests_on_two_nodes_are_matched_and_talk(nodes: Nodes) -> None:
    first, second = nodes.all
    (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    await match(anna, berta)

    for number in range(3):
        await say(anna, berta, f"from anna {number}")
        await say(berta, anna, f"from berta {number}")

    assert sum(len(node.lives()) for node in nodes.all) == 2
    assert len(second.lives()) == 2, "both live where the partner was found"


async def test_who_leaves_can_meet_again(nodes: Nodes) -> None:
    first, second = nodes.all
    (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    epochs = []
    for number in range(4):
        matched = await match(anna, berta) if number % 2 else await match(berta, anna)
        epochs.append(matched["epoch"])
        await say(anna, berta, f"hello {number}")
        await anna.emit("leave-room")
        await berta.until("room:user_left")
        await until(lambda: [len(node.lives()) for node in nodes.all] == [1, 1])

    assert epochs == sorted(set(epochs))
