"""Nodes that are processes of their own, and die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from passerby.nodes.processes import identity, is_dead
from tests.support.client import Client, RefusedError
from tests.support.conversation import Two
from tests.support.server import SECRET, RunningServer, ServerProcess, http_client
from tests.support.valkey import PATIENCE, Valkey, until, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Account


LONG = 10.0
"""Seconds: two leases."""
RECALLABLE = 40
"""Seconds that a search outlives its node."""
DESCRIBED = 300
"""Seconds that operators can see where a node was."""


class Node(RunningServer):
    """A node in a process of its own."""

    process: ServerProcess


@asynccontextmanager
async def node(store: Valkey, **settings: str) -> AsyncIterator[Node]:
    process = ServerProcess(REDIS_URL=store.url, JWT_SECRET=SECRET, **settings)
    try:
        await asyncio.to_thread(process.wait_until_ready)
        async with http_client(process.url) as http:
            running = Node(process.url, http)
            running.process = process
            await until_normal(running)
            yield running
            await running.close()
    finally:
        await asyncio.to_thread(process.stop)


async def until_normal(running: Node) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await running.http.get("/health")).json().get("redis", {}).get("state") not in ("normal", None):  # noqa: ASYNC110 - it asks the server
            await asyncio.sleep(0.05)


async def until_connected(server: RunningServer, account: Account, resume: dict[str, Any] | None = None) -> Client:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await server.connect(account, resume)
            except RefusedError:
                await asyncio.sleep(0.1)


async def match(one: Client, other: Client) -> dict[str, Any]:
    await one.emit("user:match")
    await one.until("user:match:no_users")
    await other.emit("user:match")
    matched: dict[str, Any] = await one.until("user:matched")
    await other.until("user:matched")
    return {"roomId": matched["roomId"], "epoch": matched["epoch"]}


async def written(store: Valkey) -> int:
    """Return how many sessions in Redis are online."""
    keys = await store.command("KEYS", "guest:*")
    return sum([json.loads(await store.command("GET", key))["isOnline"] for key in keys])


async def test_the_death_of_a_home_is_a_reconnect() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)  # the home of both is the second
        assert (await anna.say("hello", "hello"))["status"] == "sent"
        await berta.until("chat:message")
        os.kill(second.process.pid, signal.SIGKILL)
        began = asyncio.get_running_loop().time()
        await anna.gone()
        noticed = asyncio.get_running_loop().time() - began
        assert anna.close_code == 1012
        assert noticed < 3, "the edge learns it from the process, not from the lease"

        again = await until_connected(first, one, {**room, "seq": 0})
        resumed = await again.until("room:resumed")
        assert (resumed["roomId"], resumed["seq"], resumed["partnerAway"]) == (room["roomId"], 1, True)
        assert (await again.until("chat:message"))["content"] == "hello"
        back = await until_connected(first, other, {**room, "seq": 1})
        await back.until("room:resumed")
        await again.until("room:partner_back")
        assert (await back.say("still here", "x"))["seq"] == 2
        assert (await again.until("chat:message"))["content"] == "still here"


@pytest.mark.parametrize(("count", "where"), [(1, 0), (2, 0), (2, 1)])
async def test_who_returns_before_it_is_known_that_they_have_a_room_is_asked_to_come_again(
    count: int, where: int
) -> None:
    async with valkey() as store, node(store) as victim, AsyncExitStack() as stack:
        survivors = [await stack.enter_async_context(node(store)) for _ in range(count)]
        (account, anna), (_, berta) = await victim.visitor(username="Anna"), await victim.visitor(username="Berta")
        room = await match(anna, berta)
        await anna.say("hello", "hello")
        os.kill(victim.process.pid, signal.SIGKILL)
        for key in await store.command("KEYS", "guest:*"):  # as if they had been matched just before
            session = json.loads(await store.command("GET", key))
            await store.command("SET", key, json.dumps(session | {"inChat": False, "connectedUser": None}), "KEEPTTL")

        back = await until_connected(survivors[where], account)
        assert (await back.until("connection:established"))["room"] is None
        await back.gone()
        assert back.close_code == 1012, "not as if another page had taken the place of this one"
        again = await until_connected(survivors[where], account)
        assert (await again.until("connection:established"))["room"]["roomId"] == room["roomId"]


async def test_a_home_that_was_frozen_harms_nobody_when_it_wakes_up() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)
        assert (await anna.say("hello", "hello"))["status"] == "sent"
        os.kill(second.process.pid, signal.SIGSTOP)
        try:
            await berta.emit("chat:message", {"type": "text", "content": "never acknowledged", "clientId": "never"})
            await anna.gone()
            again = await until_connected(first, one, {**room, "seq": 1})
            await again.until("room:resumed")
            assert (await again.say("meanwhile", "meanwhile"))["seq"] == 2
        finally:
            os.kill(second.process.pid, signal.SIGCONT)
        await berta.gone()
        assert berta.close_code == 1012
        back = await until_connected(second, other, {**room, "seq": 0})
        assert (await back.until("chat:message"))["content"] == "hello"
        assert (await back.until("chat:message"))["content"] == "meanwhile"
        assert (await back.say("never acknowledged", "never"))["seq"] == 3
        assert (await again.until("chat:message"))["content"] == "never acknowledged"


async def test_nothing_that_a_home_writes_after_a_long_freeze_counts() -> None:
    async with valkey() as store, node(store) as first, node(store) as second:
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await match(anna, berta)
        key = f"{{room:{room['roomId']}}}"
        assert (await anna.say("before", "before"))["seq"] == 1
        await berta.until("chat:message")
        os.kill(second.process.pid, signal.SIGSTOP)
        try:
            for client, name in ((anna, "anna"), (berta, "berta")):
                for number in range(20):
                    text = f"{name} {number}"
                    await client.emit("chat:message", {"type": "text", "content": text, "clientId": text})
            frozen = asyncio.create_task(asyncio.sleep(LONG))
            await anna.gone()
            again = await until_connected(first, one, {**room, "seq": 1})
            await again.until("room:resumed")
            assert (await again.say("meanwhile", "meanwhile"))["seq"] == 2
            taken = await store.command("HGET", f"{key}:state", "owner")
            await frozen
        finally:
            os.kill(second.process.pid, signal.SIGCONT)
        await berta.gone()
        assert berta.close_code == 1012
        assert not [payload for name, payload in berta.heard if name in ("chat:message:sent", "chat:error")]
        await until_normal(second)

        log = [json.loads(message)["content"] for message in await store.command("LRANGE", f"{key}:log", 0, -1)]
        assert log == ["before", "meanwhile"]
        assert await store.command("HGET", f"{key}:state", "owner") == taken
        homes = {await store.command("GET", f"home:{guest.session_id}") for guest in (one, other)}
        assert homes == {taken.partition(b":")[0]}
        session = json.loads(await store.command("GET", f"guest:{one.session_id}"))
        assert (session["isOnline"], session["inChat"], session["connectedUser"]) == (True, True, other.id)
        back = await until_connected(second, other, {**room, "seq": 1})
        assert (await back.until("chat:message"))["content"] == "meanwhile"
        assert (await back.say("berta 0", "berta 0"))["seq"] == 3
        assert (await again.until("chat:message"))["content"] == "berta 0"


async def test_nothing_is_left_of_a_node_that_died() -> None:
    async with valkey() as store, node(store, GRACE="2") as first, node(store, GRACE="2") as second:
        anna, berta = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        _, carla = await second.visitor(username="Carla")
        talk = Two(second, anna, berta, await match(anna[1], berta[1]))
        await talk.upload(b"a file")
        await talk.tell("a message", kind="text")
        await carla.emit("user:match")
        await carla.until("user:match:no_users")
        async with asyncio.timeout(PATIENCE):
            while await written(store) < 3:  # noqa: ASYNC110 - it asks the store
                await asyncio.sleep(0.05)
        dead = await store.command("GET", f"home:{berta[0].session_id}")
        os.kill(second.process.pid, signal.SIGKILL)
        for client in (anna[1], berta[1], carla):
            await client.cut()

        own = {b"alive", b"nodes", b"rooms", b"active_user_count", b"passerby:marker"}
        kinds = b"about:", b"node:", b"limit:", b"{mm}:"

        async def is_quiet() -> bool:
            left = [key for key in await store.command("KEYS", "*") if key not in own and not key.startswith(kinds)]
            return left == [] and await store.command("EXISTS", b"node:" + dead) == 0

        await until(is_quiet, patience=2 * PATIENCE)
        for listed in ("alive", "nodes"):
            assert not [name for name in await store.command("ZRANGE", listed, 0, -1) if name.startswith(dead)]
        assert await store.command("GET", "active_user_count") == b"0"
        assert 0 < await store.command("TTL", b"about:" + dead) <= DESCRIBED
        _, dora = await first.visitor(username="Dora")
        await dora.emit("user:match")
        await dora.until("user:match:no_users")
        await dora.emit("user:match:cancel")
        for guest in await store.command("ZRANGE", "{mm}:leases", 0, -1):
            await store.command("ZINCRBY", "{mm}:leases", -1000 * RECALLABLE, guest)  # the time passes

        async def is_swept() -> bool:
            return await store.command("EXISTS", "{mm}:tickets", "{mm}:waiting", "{mm}:leases") == 0  # type: ignore[no-any-return]

        await until(is_swept)
        for near in await store.command("KEYS", "{mm}:*"):
            assert 0 < await store.command("TTL", near) <= RECALLABLE


def test_a_process_is_known_by_itself() -> None:
    place, pid, began = identity().rsplit(":", 2)
    assert int(pid) == os.getpid()
    assert not is_dead(identity())
    assert is_dead(f"{place}:{pid}:{int(began) - 1}"), "another has its number now"
    assert is_dead(f"{place}:{2**22 + 1}:{began}")
    assert not is_dead(f"elsewhere:1:{pid}:{int(began) - 1}")
    for unknown in ("", ":", "::", "a:b", identity().upper() + "x:y:z"):
        assert not is_dead(unknown)
