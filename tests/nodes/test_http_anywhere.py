"""HTTP requests to a node on which the guest does not live: several servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.nodes.test_moving import Nodes, match, running, until
from tests.support.conversation import Two, Wire, noise
from tests.support.valkey import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Account, InsideServer

MIB = 1 << 20


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


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────


class Talk(Two):
    """Anna, who is connected to the first node, and Berta, on the second: both live on the second. The third is left.

    `http`, with which files go up and down, is of the node that is asked.
    """

    @classmethod
    async def begin(cls, nodes: Nodes) -> Talk:
        first, second = nodes.all[:2]
        anna, berta = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        matched = await match(anna[1], berta[1])
        talk = cls(second, anna, berta, {"roomId": matched["roomId"], "epoch": matched["epoch"]})
        await until(lambda: len(second.lives()) == 2)
        return talk

    def at(self, node: InsideServer) -> Talk:
        """Ask this node from now on."""
        self.http = node.http
        return self


async def file_keys(nodes: Nodes) -> list[bytes]:
    return [key for key in await nodes.server.command("KEYS", "*") if b"file" in key]


async def no_files(nodes: Nodes) -> None:
    """Wait until nothing of files is left in Redis."""
    async with asyncio.timeout(PATIENCE):
        while await file_keys(nodes):  # noqa: ASYNC110 - it asks Redis
            await asyncio.sleep(0.02)


async def test_a_file_comes_down_from_any_node(nodes: Nodes) -> None:
    await nodes.start()
    first, second, third = nodes.all
    talk = await Talk.begin(nodes)
    body = noise(300_000)
    info = await talk.at(second).upload(body)
    stranger = await first.newcomer(username="Carla")

    for node in nodes.all:
        whole = await node.http.get(info["fileUrl"])
        assert (whole.status_code, whole.content) == (200, body)
        part_of = await node.http.get(info["downloadUrl"], headers={"Range": "bytes=70000-199999"})
        assert (part_of.status_code, part_of.content) == (206, body[70_000:200_000])
        known = await node.http.get(info["fileUrl"], headers={"If-None-Match": whole.headers["etag"]})
        assert known.status_code == 304
        forged = await node.http.get(info["fileUrl"] + "x")
        assert (forged.status_code, forged.json()["code"]) == (403, "link_invalid")
        for member in (talk.anna, talk.berta):
            about = await node.http.get(f"/api/temp-files/info/{info['fileId']}", headers=member.headers)
            assert about.json()["data"] == info
        other = await node.http.get(f"/api/temp-files/info/{info['fileId']}", headers=stranger.headers)
        assert other.status_code == 404
        ice = await node.http.get("/api/ice-servers", headers=talk.anna.headers)
        assert ice.status_code == 200
        assert (await node.http.get("/api/ice-servers", headers=stranger.headers)).status_code == 409

    await talk.part_ways()
    for node in (first, third, second):
        assert (await node.http.get(info["fileUrl"])).status_code == 404
        assert (await node.http.get("/api/ice-servers", headers=talk.anna.headers)).status_code == 409
    await no_files(nodes)


@pytest.mark.parametrize("reads", [True, False])
async def test_a_download_ends_when_the_room_closes_elsewhere(nodes: Nodes, *, reads: bool) -> None:
    first, second = nodes.all
    talk = await Talk.begin(nodes)
    body = noise(10 * MIB)
    info = await talk.at(second).upload(body)
    wire = await Wire.open(first, 1024)
    await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
    assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")

    await talk.part_ways()
    if not reads:
        await first.application.services.background.settle()  # what watches has cut it
    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while data := await wire.reader.read(65_536):
                received += data
    await wire.abort()
    assert len(received) < len(body)
    assert body.startswith(received)
