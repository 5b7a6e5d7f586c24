"""One node that is cut off from Redis while the others are not: two servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from passerby import recovery
from tests.nodes.test_moving import match, others, say, until
from tests.nodes.test_processes import until_connected
from tests.support.server import InsideServer, inside
from tests.support.valkey import PATIENCE, Proxy, proxy, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@asynccontextmanager
async def two(**settings: object) -> AsyncIterator[tuple[InsideServer, InsideServer, Proxy]]:
    """Run two nodes, and what stands between the second one and Redis."""
    async with (
        valkey() as store,
        proxy(store) as between,
        inside(redis_url=store.url, **settings) as first,
        inside(redis_url=between.url, **settings) as second,
    ):
        await until(lambda: bool(others(first)) and bool(others(second)))
        yield first, second, between


async def test_a_home_that_is_cut_off_loses_its_rooms_and_nobody_their_place() -> None:
    async with two() as (first, second, between):
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        matched = await match(anna, berta)  # the home of both is the second
        room = {"roomId": matched["roomId"], "epoch": matched["epoch"]}
        await say(anna, berta, "before")
        between.swallow()
        await anna.gone()
        assert anna.close_code == 1012

        again = await until_connected(first, one, {**room, "seq": 1})
        await again.until("room:resumed")
        assert (await again.say("meanwhile", "meanwhile"))["seq"] == 2
        assert berta.is_open, "who is where the room was cannot be told yet"

        between.flow()
        await berta.gone()
        assert berta.close_code == 1012
        back = await until_connected(second, other, {**room, "seq": 1})
        assert (await back.until("chat:message"))["content"] == "meanwhile"
        await say(back, again, "together")
        assert [len(node.lives()) for node in (first, second)] == [2, 0]


async def test_a_home_that_is_cut_off_acknowledges_nothing_that_is_lost_and_ends_no_room() -> None:
    async with two(grace=5.0) as (first, second, between):
        (one, anna), (other, berta) = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        matched = await match(anna, berta)
        room = {"roomId": matched["roomId"], "epoch": matched["epoch"]}
        await say(anna, berta, "before")
        between.swallow()
        await anna.gone()
        again = await until_connected(first, one, {**room, "seq": 1})
        await again.until("room:resumed")

        alone = {"type": "text", "content": "alone", "clientId": "alone"}
        await berta.emit("chat:message", alone)
        away = next(live for live in second.lives() if live.link is None)
        until_then = away.grace_until
        await until(lambda: away.grace_until > until_then)  # it has ended, but nobody can be sure
        assert not {"chat:message:sent", "room:closed", "chat:error"} & {name for name, _ in berta.heard}

        between.flow()
        await berta.gone()
        back = await until_connected(second, other, {**room, "seq": 1})
        await back.until("room:resumed")
        await back.emit("chat:message", alone)
        await back.until("chat:message:sent", clientId="alone")
        assert (await again.until("chat:message"))["content"] == "alone"


async def test_guests_who_are_all_on_the_node_that_is_cut_off_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_PATIENCE", 0.1)
    async with two() as (first, second, between):
        (_, anna), (_, berta) = await second.visitor(username="Anna"), await second.visitor(username="Berta")
        await match(anna, berta)
        await say(anna, berta, "before")
        between.swallow()
        await until(lambda: not others(first))
        await say(anna, berta, "meanwhile")
        # One more is gone, certainly: what it has left is taken now.
        recovering, is_taken = first.application.services.recovery, asyncio.Event()
        take_rest = recovering._take_rest

        async def noted() -> None:
            await take_rest()
            is_taken.set()

        monkeypatch.setattr(recovering, "_take_rest", noted)
        recovering.lost_node("node_000000000000", is_certain=True)
        await asyncio.wait_for(is_taken.wait(), PATIENCE)

        between.flow()
        await until(lambda: bool(others(first)))
        await say(berta, anna, "after")
        assert [len(node.lives()) for node in (first, second)] == [0, 2]
