"""Nothing of a guest stays in memory: all parts of a session and of a conversation die without a garbage collection."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from passerby.background import Background
from passerby.chat import rooms
from passerby.collection import Collector
from tests.nodes.test_deaths import signal_of
from tests.support.client import PATIENCE, Client
from tests.support.clock import ManualClock
from tests.support.conversation import Two
from tests.support.server import inside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.support.server import InsideServer

OF_ADDRESSES = ("passerby.limits.", "passerby.safety.pressure.")
"""What is kept of an address for a time, so that a new session is no way out."""


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Let nothing be collected until the test ends."""
    gc.unfreeze()  # what a test before has hidden from it
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InsideServer]:
    """Run a server with short times."""
    monkeypatch.setattr(rooms, "_DISSOLVING", 0.1)
    async with inside(grace=0.1, undo_seconds=2, report_window=0.1, ring_timeout=1, call_return=0.1) as running:
        yield running


def parts() -> Counter[str]:
    """Count all objects of Passerby's own classes that are alive, but for what runs anyway."""
    names = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Counter(name for name in names if name.startswith("passerby.") and not name.startswith(OF_ADDRESSES))


async def leave(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.say("Hello")
    await two.other.say("Hello you")
    await two.part_ways()


async def undo(server: InsideServer) -> None:
    accounts = [await server.newcomer(), await server.newcomer()]
    one, other = [await server.connect(account, features=("undo", "consent")) for account in accounts]
    for client in (one, other):
        await client.emit("user:match")
    matched = await one.until("user:matched")
    await one.emit("consent:open", {"steps": ["links"]})
    await one.emit("chat:clear", {"undo": True})
    await other.until("chat:cleared")
    await one.emit("chat:undo", {"resume": {"roomId": matched["roomId"], "epoch": matched["epoch"], "seq": 0}})
    await other.until("room:restored")
    await other.emit("chat:clear")
    await one.until("chat:cleared")


async def lose(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.say("Hello")
    await two.one.cut()
    await two.other.until("room:closed")


async def come_back(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.say("Hello")
    again = await server.connect(two.anna, {"roomId": two.room_id, "epoch": two.room["epoch"], "seq": 0})
    await again.until("room:resumed")
    await again.emit("leave-room")
    await two.other.until("chat:cleared")


async def call(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.emit("webrtc:offer", signal_of("offer"))
    call_id = (await two.other.until("webrtc:offer"))["callId"]
    await two.other.emit("webrtc:answer", signal_of("answer", call_id))
    await two.one.until("webrtc:answer")
    await two.one.cut()
    await two.other.until("room:closed")


async def ring(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.emit("webrtc:offer", signal_of("offer"))
    await two.one.until("webrtc:call-timeout")


async def send_files(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(b"a file")
    await two.tell(info)
    await two.read(info)
    await two.part_ways()


async def report(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.other.say("Something bad")
    await server.application.services.adapters.kept.database.open()
    await two.one.emit("safety:report", {"reason": "hate"})
    await two.one.until("safety:reported")


async def search(server: InsideServer) -> None:
    _, client = await server.visitor()
    await client.emit("user:match", {"interests": ["chess"]})
    await client.until("user:match:no_users")
    await client.emit("user:match:cancel")
    await client.until("user:match:cancelled")
    await client.emit("user:match")
    await client.until("user:match:no_users")


async def end_at_once(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.one.say("Hello")
    assert (await server.http.delete("/api/guest/me", headers=two.anna.headers)).status_code == 200
    await two.other.until("chat:cleared")


async def stay_out(server: InsideServer) -> None:
    account = await server.newcomer()
    for body in ({"username": ""}, {"username": "x" * 500}):
        await server.http.post("/api/guest", json=body)
    client = await Client.open(server.url)
    await client.close()
    polling = "/socket.io/?EIO=4&transport=polling"
    assert (await server.http.get(polling)).text.startswith("0")
    await server.http.get("/api/guest/me", headers=account.headers)


VISITS = [leave, undo, lose, come_back, call, ring, send_files, report, search, end_at_once, stay_out]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("visit", VISITS)
async def test_all_of_a_visit_dies_with_it(
    server: InsideServer, visit: Callable[[InsideServer], Awaitable[None]]
) -> None:
    async def once() -> None:
        accounts = []
        newcomer = server.newcomer

        async def noted(**body: object) -> object:
            account = await newcomer(**body)
            accounts.append(account)
            return account

        server.newcomer = noted  # type: ignore[method-assign,assignment]  # restored
        await visit(server)
        server.newcomer = newcomer  # type: ignore[method-assign]  # as it was
        for account in accounts:
            await server.http.delete("/api/guest/me", headers=account.headers)
        await server.close()
        server._clients.clear()

    await once()  # what is made the first time, and kept
    await once()
    before = parts()
    await once()
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while parts() - before:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.05)
    assert parts() - before == Counter()


async def test_what_hangs_in_cycles_is_collected_while_few_are_here() -> None:
    clock = ManualClock()
    background = Background(clock)
    guests = 1000
    collector = Collector(clock, lambda: guests)
    background.repeat("collection", collector.keep)

    class Part:
        pass

    part = Part()
    part.itself = part  # type: ignore[attr-defined]  # a cycle
    seen = weakref.ref(part)
    del part
    gc.disable()
    try:
        await clock.run(120)
        assert seen() is not None
        guests = 3
        await clock.run(60)
        assert seen() is None
    finally:
        gc.enable()
        await background.stop(1)
