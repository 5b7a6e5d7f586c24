"""Guests on different nodes: several servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from passerby.nodes.moving import ARRIVED, Traveller
from tests.support.client import Client, RefusedError
from tests.support.server import InsideServer, inside
from tests.support.valkey import PATIENCE, Valkey, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.server import Account


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


async def test_guests_without_a_room_stay_when_a_node_takes_what_another_has_left(nodes: Nodes) -> None:
    (_, anna), (_, berta) = await nodes.all[0].visitor(username="Anna"), await nodes.all[1].visitor(username="Berta")
    for node in nodes.all:
        await node.application.services.writer.flush()
    for node in nodes.all:
        await node.application.services.recovery._recall_others()

    assert [len(node.lives()) for node in nodes.all] == [1, 1]
    assert not [name for one in (anna, berta) for name, _ in one.heard if name == "connection:closing"]
    await match(anna, berta)


async def test_guests_of_one_node_meet_first() -> None:
    async with running(2, match_patience=PATIENCE) as nodes:
        first, second = nodes.all
        (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        (_, carla), (_, dora) = await second.visitor(username="Carla"), await first.visitor(username="Dora")
        for one in (anna, berta, carla, dora):
            await one.emit("user:match")
            await one.until("user:match:searching")

        assert (await berta.until("user:matched"))["matchedUser"]["username"] == "Carla"
        assert (await dora.until("user:matched"))["matchedUser"]["username"] == "Anna"
        assert not [name for name, _ in anna.heard if name == "user:match:no_users"], "she was not told in vain"


async def test_who_waits_in_vain_for_the_own_node_meets_others() -> None:
    async with running(2, match_patience=0.1) as nodes:
        first, second = nodes.all
        (_, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        for one in (anna, berta):
            await one.emit("user:match")
        for one in (anna, berta):
            await one.until("user:matched")


async def half_gone(node: InsideServer) -> tuple[Account, Client, dict[str, object]]:
    """Let Anna and Berta talk, and Anna lose the connection; return Anna's session, Berta's client, and the room."""
    (account, anna), (_, berta) = await node.visitor(username="Anna"), await node.visitor(username="Berta")
    matched = await match(anna, berta)
    await say(anna, berta, "before")
    await anna.cut()
    await berta.until("room:partner_away")
    return account, berta, {"roomId": matched["roomId"], "epoch": matched["epoch"]}


async def test_who_reconnects_to_another_node_goes_on_in_the_room(nodes: Nodes) -> None:
    first, second = nodes.all
    account, berta, room = await half_gone(first)
    await berta.say("meanwhile", "meanwhile")

    again = await second.connect(account, room | {"seq": 1})
    assert (await again.until("connection:established"))["room"]["roomId"] == room["roomId"]
    assert (await again.until("chat:message"))["content"] == "meanwhile"
    await berta.until("room:partner_back")
    await say(again, berta, "after")
    await say(berta, again, "answer")
    assert [len(node.lives()) for node in nodes.all] == [2, 0]


async def lose_all_guests(nodes: Nodes) -> None:
    """Let Redis lose everything of them before a node notices, as if it had started again empty."""
    keys = await nodes.server.command("KEYS", "*")
    kept = (b"alive", b"about:", b"passerby:marker")
    await nodes.server.command("DEL", *[key for key in keys if not key.startswith(kept)])


async def test_who_reconnects_to_another_node_goes_on_although_redis_has_lost_where(nodes: Nodes) -> None:
    first, second = nodes.all
    account, berta, room = await half_gone(first)
    await lose_all_guests(nodes)

    again = await second.connect(account, room | {"seq": 1})
    assert (await again.until("connection:established"))["room"]["roomId"] == room["roomId"]
    await say(again, berta, "after")
    await say(berta, again, "answer")
    assert [len(node.lives()) for node in nodes.all] == [2, 0]


async def test_a_search_goes_on_at_another_node_although_redis_has_lost_where(nodes: Nodes) -> None:
    first, second = nodes.all
    account, anna = await first.visitor(username="Anna")
    await anna.emit("user:match")
    await anna.until("user:match:no_users")
    await anna.cut()
    await until(lambda: first.lives()[0].suspended is not None)
    await lose_all_guests(nodes)

    again = await second.connect(account)
    await again.until("user:match:searching")
    assert [len(node.lives()) for node in nodes.all] == [0, 1]


async def test_an_older_connection_to_another_node_is_replaced(nodes: Nodes) -> None:
    first, second = nodes.all
    account, older = await first.visitor(username="Anna")
    newer = await second.connect(account)
    await newer.until("connection:established")
    assert (await older.until("connection:closing"))["code"] == "replaced"
    await older.gone()
    assert [len(node.lives()) for node in nodes.all] == [0, 1]

    (_, berta) = await first.visitor(username="Berta")
    await match(newer, berta)
    newest = await first.connect(account)
    assert (await newest.until("connection:established"))["room"] is not None
    assert (await newer.until("connection:closing"))["code"] == "replaced"


async def test_a_connection_that_ends_before_it_is_let_in_replaces_no_other(nodes: Nodes) -> None:
    first = nodes.all[0]
    account, anna = await first.visitor(username="Anna")
    nodes.server.freeze()  # the limit of connections is asked there
    late = await Client.open(first.url)
    await late.send("40" + json.dumps({"token": account.token}))
    await until(lambda: len(first.application.server.engine.sessions) == 2)
    await late.cut()
    await until(lambda: len(first.application.server.engine.sessions) == 1)
    nodes.server.thaw()

    _, berta = await first.visitor(username="Berta")
    await match(anna, berta)
    await say(berta, anna, "hello")


async def test_a_guest_who_is_sent_to_where_they_live_is_sent_back(nodes: Nodes) -> None:
    first, second = nodes.all
    (_, anna), (_, berta) = await first.visitor(username="Anna"), await first.visitor(username="Berta")
    await match(anna, berta)
    bus = second.application.services.adapters.cluster
    assert bus is not None
    own, lives = first.lives()[0].guest, {id(live) for live in first.lives()}
    traveller = Traveller(own, None, None, None, 0.0, 0.1, {}, is_recalled=False, epoch=1, connection=None)
    bus.bus.send(others(second).pop(), (ARRIVED, msgspec.msgpack.encode(traveller)))
    moving = second.application.moving
    assert moving is not None
    await moving._requests.ask(others(second).pop(), "lives", b"anybody", PATIENCE)  # it is answered after that
    assert {id(live) for live in first.lives()} == lives
    await say(anna, berta, "not disturbed")


async def test_a_search_goes_on_at_another_node(nodes: Nodes) -> None:
    first, second = nodes.all
    account, anna = await first.visitor(username="Anna")
    await anna.emit("user:match")
    await anna.until("user:match:no_users")
    entered = first.lives()[0].ticket
    assert entered is not None
    await anna.cut()
    await until(lambda: first.lives()[0].suspended is not None)

    again = await second.connect(account)
    await again.until("user:match:searching")
    ticket = second.lives()[0].ticket
    assert ticket is not None
    assert ticket.entered_at == entered.entered_at
    _, berta = await first.visitor(username="Berta")
    await berta.emit("user:match")
    await again.until("user:matched")
    await berta.until("user:matched")


async def test_a_session_that_ends_is_refused_everywhere(nodes: Nodes) -> None:
    first = nodes.all[0]
    account, anna = await first.visitor(username="Anna")
    answer = await first.http.delete("/api/guest/me", headers=account.headers)
    assert answer.status_code == 200
    await anna.gone()
    for node in nodes.all:
        assert (await node.http.get("/api/guest/me", headers=account.headers)).status_code == 401
    assert await nodes.server.command("KEYS", "home:*") == []


async def test_both_members_may_be_elsewhere(nodes: Nodes) -> None:
    first, second = nodes.all
    (one, anna), (other, berta) = await first.visitor(username="Anna"), await first.visitor(username="Berta")
    matched = await match(anna, berta)
    resume = {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 0}
    for client in (anna, berta):
        await client.cut()
    anna, berta = await second.connect(one, resume), await second.connect(other, resume)
    for client in (anna, berta):
        await client.until("room:resumed")
    for number in range(3):
        await say(anna, berta, f"{number}")
    await anna.emit("leave-room")
    await berta.until("room:user_left")
    await until(lambda: [len(node.lives()) for node in nodes.all] == [0, 2])
    await match(anna, berta)
    await say(berta, anna, "again")


async def test_a_lost_bus_is_a_reconnect(nodes: Nodes) -> None:
    first, second = nodes.all
    (account, anna), (_, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
    matched = await match(anna, berta)
    await say(anna, berta, "one")
    await nodes.server.command("CLIENT", "KILL", "TYPE", "pubsub")
    await anna.gone()
    assert anna.close_code == 1012

    resume = {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 0}
    again = None
    while again is None:
        try:
            again = await first.connect(account, resume)
        except RefusedError:
            await asyncio.sleep(0.05)
    assert (await again.until("chat:message"))["content"] == "one"
    await say(again, berta, "two")
