"""HTTP requests to a node on which the guest does not live: several servers in this process, on one real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from passerby.limits import Rate
from tests.nodes import test_processes as processes
from tests.nodes.test_moving import Nodes, match, running, until
from tests.support.conversation import PNG, Two, Wire, form, noise, part, wav
from tests.support.valkey import PATIENCE, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Account, InsideServer, RunningServer

MIB = 1 << 20


@pytest.fixture
async def nodes() -> AsyncIterator[Nodes]:
    async with running(2) as nodes:
        yield nodes


async def me(node: RunningServer, account: Account) -> tuple[int, Any]:
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
    monkeypatch.setattr("passerby.nodes.requests.PATIENCE", 0.05)
    served = first.application.asking

    has_ended = asyncio.Event()

    async def late(_: bytes) -> bytes:
        await has_ended.wait()
        return b""

    assert served is not None
    for name in ("guest.end", "guest.update"):
        served._requests.serve(name, late)
    answers = [
        await second.http.delete("/api/guest/me", headers=account.headers),
        await second.http.post("/api/guest/location", json={"location": "Oslo"}, headers=account.headers),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.json()["retryAfter"] == 1
    assert (await me(second, account))[0] == 200
    has_ended.set()


async def test_a_session_that_ends_while_its_home_is_frozen_does_not_come_back() -> None:
    async with valkey() as store, processes.node(store) as first, processes.node(store) as second:
        account, anna = await second.visitor(username="Anna")
        async with asyncio.timeout(PATIENCE):
            while (await me(first, account))[0] != 200:  # noqa: ASYNC110 - it asks the server
                await asyncio.sleep(0.02)
        os.kill(second.process.pid, signal.SIGSTOP)
        try:
            answers = [await first.http.delete("/api/guest/me", headers=account.headers)]
            async with asyncio.timeout(PATIENCE):
                while answers[-1].status_code == 503:
                    await asyncio.sleep(0.2)
                    answers.append(await first.http.delete("/api/guest/me", headers=account.headers))
        finally:
            os.kill(second.process.pid, signal.SIGCONT)
        assert len(answers) > 1
        assert answers[-1].status_code == 200
        await anna.gone()
        async with asyncio.timeout(PATIENCE):
            while (await me(second, account))[0] != 401:  # noqa: ASYNC110 - it asks the server
                await asyncio.sleep(0.02)
        assert (await me(first, account))[0] == 401
        async with asyncio.timeout(PATIENCE):
            while await store.command("KEYS", "guest:*"):  # noqa: ASYNC110 - it asks the store
                await asyncio.sleep(0.02)


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


async def answers(node: InsideServer, path: str, status: int, guest: Account | None = None) -> None:
    """Wait until a node answers so: it learns it from Redis, a little later."""
    async with asyncio.timeout(PATIENCE):
        while (await node.http.get(path, headers=guest.headers if guest else {})).status_code != status:  # noqa: ASYNC110 - it asks the server
            await asyncio.sleep(0.01)


async def file_keys(nodes: Nodes) -> list[bytes]:
    return [key for key in await nodes.server.command("KEYS", "*") if b"file" in key]


async def no_files(nodes: Nodes) -> None:
    """Wait until nothing of files is left in Redis."""
    async with asyncio.timeout(PATIENCE):
        while await file_keys(nodes):  # noqa: ASYNC110 - it asks Redis
            await asyncio.sleep(0.02)


async def test_a_file_comes_down_from_any_node(nodes: Nodes) -> None:
    await nodes.start()
    first, second, _third = nodes.all
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
    assert (await second.http.get(info["fileUrl"])).status_code == 404
    for node in nodes.all:
        await answers(node, info["fileUrl"], 404)
        await answers(node, "/api/ice-servers", 409, talk.anna)  # the writer of sessions has to do it first
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


# ── uploads ───────────────────────────────────────────────────────────────────────────────────────


def used(node: InsideServer) -> int:
    return node.application.services.files.space.used


async def test_files_go_up_to_any_node(nodes: Nodes) -> None:
    await nodes.start()
    first, second, third = nodes.all
    talk = await Talk.begin(nodes)
    for node in (first, third):
        body = noise(900_000, nodes.all.index(node) + 1)
        before = used(second)
        info = await talk.at(node).upload(body, "é.bin")
        assert (info["filename"], info["fileSize"]) == ("é.bin", len(body))
        assert (used(second), used(node)) == (before + len(body), 0)
        for other in nodes.all:
            assert await talk.at(other).read(info) == body
        assert (await talk.tell(info))["status"] == "sent"
        assert (await talk.other.until("chat:message"))["content"]["fileId"] == info["fileId"]

        note = await talk.at(node).upload(wav(2), by=talk.berta, duration="2")
        assert (note["fileType"], note["duration"]) == ("audio", 2.0)
        answer = await talk.post(form(part("file", PNG, "a.png"), part("roomId", talk.room_id.encode())))
        assert answer.status_code == 201, answer.text
        assert await talk.at(second).read(answer.json()["data"]) == PNG
        answer = await talk.at(node).post(
            form(part("file", wav(1), "a.wav"), part("roomId", talk.room_id.encode()), part("duration", b"1")),
            voice=True,
        )
        assert answer.status_code == 201, answer.text
    await talk.part_ways()
    await until(lambda: used(second) == 0)
    await no_files(nodes)
    assert all(node.application.services.background.failures == {} for node in nodes.all)


async def test_whoever_is_in_no_room_uploads_nowhere(nodes: Nodes) -> None:
    first, second = nodes.all
    talk = await Talk.begin(nodes)
    (stranger, _), _ = await second.visitor(username="Carla"), await second.visitor(username="Dora")
    alone = await second.newcomer(username="Emma")
    talk.at(first)
    for guest in (stranger, alone):
        answer = await talk.put(b"x", by=guest)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_in_room")
    answer = await talk.put(b"x", room="another")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_room")
    answer = await talk.post(form(part("file", b"x", "x")))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_room")
    answer = await talk.put(b"")
    assert (answer.status_code, answer.json()["code"]) == (400, "file_empty")
    await no_files(nodes)
    for node in nodes.all:
        await node.application.services.background.settle()
        assert used(node) == 0


@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [
        ("guest_files_limit", 413, "guest_storage_full"),
        ("room_files_limit", 413, "room_storage_full"),
        ("files_limit", 507, "storage_full"),
        ("address_files_limit", 507, "storage_full"),
        ("file_limit", 413, "file_too_large"),
    ],
)
@pytest.mark.parametrize("is_announced", [True, False])
async def test_the_quotas_are_those_of_the_home(limit: str, status: int, code: str, *, is_announced: bool) -> None:
    async with running(2, **{limit: MIB}) as nodes:
        first, second = nodes.all
        talk = await Talk.begin(nodes)
        await talk.at(second).upload(noise(MIB // 2))
        body = noise(MIB + 1 if limit == "file_limit" else MIB // 2 + 1)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 100_000):
                yield body[start : start + 100_000]

        answer = await first.http.put(
            f"/api/files/{talk.room_id}", content=body if is_announced else pieces(), headers=talk.anna.headers
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        if limit != "file_limit":
            await talk.at(first).upload(noise(MIB // 2))
        for node in nodes.all:
            await node.application.services.background.settle()
        assert used(second) == (MIB // 2 if limit == "file_limit" else MIB)
        await talk.part_ways()
        await no_files(nodes)


async def test_the_rate_is_that_of_the_home() -> None:
    async with running(2, limit_uploads=Rate(2, 0.001)) as nodes:
        first, second = nodes.all
        talk = await Talk.begin(nodes)
        await talk.at(second).upload(b"one")
        await talk.at(first).upload(b"two")
        for node in nodes.all:
            answer = await talk.at(node).put(b"three")
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


async def begun(nodes: Nodes, talk: Talk, size: int = 4 * MIB) -> Wire:
    """Begin an upload to the first node, of which a part has come."""
    wire = await Wire.open(nodes.all[0])
    await wire.send(
        f"PUT /api/files/{talk.room_id} HTTP/1.1",
        f"Authorization: Bearer {talk.anna.token}",
        f"Content-Length: {size}",
        body=noise(MIB),
    )
    async with asyncio.timeout(PATIENCE):
        while len(await file_keys(nodes)) < 10:  # noqa: ASYNC110 - it asks Redis
            await asyncio.sleep(0.01)
    return wire


@pytest.mark.parametrize("size", [1, 64 * 1024])
async def test_a_room_that_closes_during_an_upload_elsewhere_takes_nothing(nodes: Nodes, size: int) -> None:
    talk = await Talk.begin(nodes)
    wire = await begun(nodes, talk)
    await talk.part_ways()
    answer = await wire.trickle(noise(size) for _ in range(48))
    assert (answer.status, answer.json()["code"]) == (409, "room_closed")
    await wire.abort()
    await no_files(nodes)
    assert [used(node) for node in nodes.all] == [0, 0]


async def test_an_upload_elsewhere_that_is_given_up_leaves_nothing(nodes: Nodes) -> None:
    talk = await Talk.begin(nodes)
    wire = await begun(nodes, talk)
    assert used(nodes.all[1]) >= MIB
    await wire.abort()
    await until(lambda: used(nodes.all[1]) == 0)
    await no_files(nodes)
    await talk.at(nodes.all[0]).upload(b"again")


async def test_an_upload_elsewhere_ends_when_frames_are_lost(nodes: Nodes) -> None:
    talk = await Talk.begin(nodes)
    wire = await begun(nodes, talk)
    await nodes.server.command("CLIENT", "KILL", "TYPE", "pubsub")
    answer = await wire.trickle(noise(64 * 1024) for _ in range(48))
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    await wire.abort()
    await until(lambda: used(nodes.all[1]) == 0)
    await no_files(nodes)


async def test_an_upload_whose_publishing_is_not_answered_is_no_file(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = nodes.all
    talk = await Talk.begin(nodes)
    monkeypatch.setattr("passerby.nodes.uploads.PATIENCE", 0.2)
    asking = second.application.asking
    assert asking is not None
    publish = asking._requests._handlers["upload.publish"]

    async def late(argument: bytes) -> bytes:
        await publish(argument)
        await asyncio.sleep(0.4)
        return b"yes"

    asking._requests.serve("upload.publish", late)
    answer = await talk.at(first).put(b"in vain")
    assert (answer.status_code, answer.json()["code"], answer.json()["retryAfter"]) == (503, "unavailable", 5)
    await until(lambda: used(second) == 0)
    await no_files(nodes)


@pytest.mark.parametrize("victim", ["the home", "the node with the bytes"])
async def test_a_node_that_is_killed_during_an_upload_leaves_nothing(victim: str) -> None:
    async with valkey() as store, processes.node(store) as first, processes.node(store) as second:
        nodes = Nodes(store, AsyncExitStack())
        nodes.all = [first, second]  # type: ignore[list-item]  # processes of their own
        anna, berta = await first.visitor(username="Anna"), await second.visitor(username="Berta")
        room = await processes.match(anna[1], berta[1])  # the home of both is the second
        wire = await begun(nodes, Talk(second, anna, berta, room))
        os.kill((second if victim == "the home" else first).process.pid, signal.SIGKILL)
        if victim == "the home":
            answer = await wire.trickle(noise(64 * 1024) for _ in range(48))
            assert (answer.status, answer.json()["code"]) == (503, "unavailable")
        await wire.abort()
        await no_files(nodes)
