"""HTTP requests to a node on which the guest does not live: several servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.nodes.test_moving import Nodes, match, running, until
from tests.support.valkey import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Account, InsideServer


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with running(2) as nodes:
        yield nodes


async def me(node: InsideServer, account: Account) -> tuple[int, Any]:
    answer = await node.http.get("/api/guest/me", headers=account.headers)
    return answer.status_code, answer.json()


async def test_a_session_is_ended_from_another_node(nodes: Nodes) -> None:
    first, second = nodes.all
    (account, anna), (_, berta) = await first.visitor(username="Anna"), await first.visitor(username="Berta")
    await match(anna, berta)

    answer = await second.http.delete("/api/guest/me", headers=account.headers)

    assert answer.status_code == 200, answer.text
    assert (await anna.until("connection:closing"))["code"] == "session_ended"
    await berta.until("room:user_left")
    for node in nodes.all:
        assert (await me(node, account))[0] == 401
    assert len(first.lives()) == 1
    assert len(await nodes.server.command("KEYS", "guest:*")) == 1


@pytest.mark.parametrize("how", ["it is asked for", "Redis was emptied"])
async def test_a_session_that_has_ended_elsewhere_does_not_come_back(nodes: Nodes, how: str) -> None:
    first, second = nodes.all
    account = await second.newcomer(username="Anna")  # the second has a copy
    anna = await first.connect(account)
    await anna.until("connection:established")

    answer = await first.http.delete("/api/guest/me", headers=account.headers)
    assert answer.status_code == 200, answer.text
    await until(lambda: second.application.services.writer.is_ended(account.session_id))
    if how == "Redis was emptied":
        await nodes.server.command("FLUSHALL")
        await asyncio.gather(*(node.application.services.adapters.store.resync() for node in nodes.all))  # type: ignore[attr-defined]
    for node in nodes.all:
        assert (await me(node, account))[0] == 401
        await node.application.services.background.settle()
    assert await nodes.server.command("KEYS", "guest:*") == []


async def test_the_end_of_a_session_is_told_again_after_the_bus_was_lost(nodes: Nodes) -> None:
    first, second = nodes.all
    account = await second.newcomer(username="Anna")
    anna = await first.connect(account)
    await anna.until("connection:established")
    await nodes.server.command("CLIENT", "KILL", "TYPE", "pubsub")
    await first.http.delete("/api/guest/me", headers=account.headers)

    await until(lambda: second.application.services.writer.is_ended(account.session_id))
    assert (await me(second, account))[0] == 401


async def test_a_session_without_a_connection_ends_everywhere(nodes: Nodes) -> None:
    first, second = nodes.all
    account = await first.newcomer(username="Anna")
    assert (await second.http.delete("/api/guest/me", headers=account.headers)).status_code == 200
    await until(lambda: first.application.services.writer.is_ended(account.session_id))
    for node in nodes.all:
        assert (await me(node, account))[0] == 401
    await first.application.services.background.settle()
    assert await nodes.server.command("KEYS", "guest:*") == []


async def test_traits_are_changed_where_the_guest_lives(nodes: Nodes) -> None:
    first, second = nodes.all
    account, anna = await first.visitor(username="Anna")
    answer = await second.http.post("/api/guest/location", json={"location": "Oslo"}, headers=account.headers)

    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["user"]["location"] == "Oslo"
    assert first.lives()[0].guest.location == "Oslo"
    for node in nodes.all:
        assert (await me(node, account))[1]["data"]["user"]["location"] == "Oslo"
        public = (await node.http.get(f"/api/guest/{account.session_id}")).json()["data"]
        assert (public["user"]["location"], public["user"]["isOnline"]) == ("Oslo", True)
    _, berta = await second.visitor(username="Berta")
    await anna.emit("user:match")
    await anna.until("user:match:no_users")
    await berta.emit("user:match")
    assert (await berta.until("user:matched"))["matchedUser"]["location"] == "Oslo"


async def test_a_session_that_only_a_node_remembers_is_found(nodes: Nodes) -> None:
    first, second = nodes.all
    account, _ = await first.visitor(username="Anna")
    other = await first.newcomer(username="Berta")
    await until(lambda: first.lives()[0].guest.is_online)
    await nodes.server.command("FLUSHALL")
    for one in (account, other):
        status, body = await me(second, one)
        assert status == 200, body
        assert body["data"]["user"]["id"] == one.id


async def test_a_home_that_does_not_answer_is_an_error_that_says_so(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = nodes.all
    account, _ = await first.visitor(username="Anna")
    monkeypatch.setattr("passerby.nodes.asking._ASK", 0.05)
    served = first.application.asking

    async def never(_: bytes) -> bytes:
        await asyncio.sleep(PATIENCE)
        return b""

    assert served is not None
    for name in ("guest.end", "guest.update"):
        served._requests.serve(name, never)
    answers = [
        await second.http.delete("/api/guest/me", headers=account.headers),
        await second.http.post("/api/guest/location", json={"location": "Oslo"}, headers=account.headers),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.json()["retryAfter"] == 1
    assert (await me(second, account))[0] == 200
