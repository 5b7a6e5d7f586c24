"""Uploads and downloads of a server whose files are in Redis, also while it goes and comes back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from passerby import app, assembly
from passerby.files.blobs_redis import CHUNK, RedisBlobStore
from tests.support.client import PATIENCE
from tests.support.conversation import Two, Wire, form, noise, part, wav
from tests.support.valkey import Valkey, connected, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.assembly import Adapters
    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.redis.client import Redis
    from passerby.settings import Settings
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

MIB = 1 << 20
LIMIT = 40 * MIB


@pytest.fixture
async def redis_server() -> AsyncIterator[Valkey]:
    """A server that has everything again after it was killed."""
    async with valkey("--appendonly", "yes") as server:
        yield server


@pytest.fixture
async def redis(redis_server: Valkey) -> AsyncIterator[Redis]:
    async with connected(redis_server.url) as redis:
        yield redis


@pytest.fixture
async def server(start_server: StartServer, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> InsideServer:
    """Run a server whose files, and nothing else, are in Redis."""

    def adapters(settings: Settings, clock: Clock, background: Background) -> Adapters:
        own = assembly.adapters(settings, clock, background)
        own.blobs = RedisBlobStore(redis, limit=LIMIT, upload_timeout=settings.upload_timeout)
        return own

    monkeypatch.setattr(app, "adapters", adapters)
    return await start_server()


def unavailable(answer: Any) -> None:  # noqa: ANN401 - of httpx, or of a Wire
    """Check that an answer says that a retry may help, and when."""
    status = answer.status if isinstance(answer.headers, list) else answer.status_code
    body = answer.json()
    assert (status, body["success"], body["code"]) == (503, False, "unavailable")
    assert body["retryAfter"] == 5
    assert dict(answer.headers)["retry-after"] == "5"


async def keys(redis_server: Valkey) -> list[str]:
    return [key.decode() for key in await redis_server.command("KEYS", "*") if b"file" in key]


async def gone(redis_server: Valkey, redis: Redis) -> None:
    """Kill the server, and wait until that is noticed."""
    redis_server.kill()
    async with asyncio.timeout(PATIENCE):
        while redis.is_usable:  # noqa: ASYNC110 - nothing tells that it has changed
            await asyncio.sleep(0)


async def back(redis_server: Valkey, redis: Redis) -> None:
    await redis_server.start()
    assert await redis.ready(PATIENCE)


async def test_files_go_up_and_come_down_whole_and_in_parts(server: InsideServer, redis_server: Valkey) -> None:
    two = await Two.meet(server)
    body = noise(10 * MIB - 7)
    info = await two.upload(body)

    assert await two.read(info) == body
    for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (3 * CHUNK + 5, 7 * CHUNK), (len(body) - 1, len(body))):
        answer = await server.http.get(info["fileUrl"], headers={"Range": f"bytes={start}-{stop - 1}"})
        assert (answer.status_code, answer.content) == (206, body[start:stop])
    assert (await two.tell(info))["status"] == "sent"

    await two.part_ways()
    await server.application.services.background.settle()
    assert await keys(redis_server) == []
    assert (await server.http.get(info["fileUrl"])).status_code == 404


async def test_what_is_known_only_at_the_end_is_in_the_file(server: InsideServer) -> None:
    two = await Two.meet(server)
    sound = wav(200)
    unknown = sound[:4] + b"\xff" * 4 + sound[8:40] + b"\xff" * 4 + sound[44:]

    info = await two.upload(unknown)

    assert await two.read(info) == sound


async def test_more_than_redis_may_hold_is_refused_as_full(server: InsideServer) -> None:
    two, others = await Two.meet(server), await Two.meet(server)
    infos = [await two.upload(noise(10 * MIB, number)) for number in range(3)]
    await others.upload(noise(9 * MIB))

    answer = await others.put(noise(MIB))

    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert await two.read(infos[2]) == noise(10 * MIB, 2)
    await two.part_ways()
    await server.application.services.background.settle()
    await others.upload(noise(MIB))


async def test_without_redis_every_answer_says_that_a_retry_may_help(
    server: InsideServer, redis_server: Valkey, redis: Redis
) -> None:
    two = await Two.meet(server)
    info = await two.upload(b"a file")
    await gone(redis_server, redis)

    unavailable(await two.put(b"small"))
    unavailable(await two.put(noise(MIB)))
    unavailable(await two.post(form(part("roomId", two.room_id.encode()), part("file", b"in a form", "a.txt"))))
    for link in ("fileUrl", "downloadUrl"):
        unavailable(await server.http.get(info[link]))
    unavailable(
        await server.http.get(f"/api/temp-files/info/{info['fileId']}", headers=two.anna.headers),
    )
    told = await two.tell(info)
    assert (told["code"], told["retryAfter"]) == ("unavailable", 5)
    assert (await two.one.ask("chat:message", {"type": "text", "content": "but words go on"}))["status"] == "sent"

    await back(redis_server, redis)
    assert await two.read(info) == b"a file"
    assert await two.read(await two.upload(b"small")) == b"small"
    assert server.application.services.files.space.used == len(b"a file" + b"small")


async def test_a_room_that_ends_without_redis_leaves_nothing_for_long(
    server: InsideServer, redis_server: Valkey, redis: Redis
) -> None:
    two = await Two.meet(server)
    for number in range(3):
        await two.upload(noise(100_000, number))
    await gone(redis_server, redis)

    await two.part_ways()
    await server.application.services.background.settle()
    await back(redis_server, redis)
    await server.application.services.files.sweep()

    assert await keys(redis_server) == []
    assert server.application.services.background.failures == {}


async def test_an_upload_during_which_redis_goes_is_refused_and_leaves_nothing(
    server: InsideServer, redis_server: Valkey, redis: Redis
) -> None:
    two = await Two.meet(server)
    wire = await Wire.open(server)
    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1",
        f"Authorization: Bearer {two.anna.token}",
        f"Content-Length: {4 * MIB}",
        body=noise(MIB),
    )
    async with asyncio.timeout(PATIENCE):
        while len(await keys(redis_server)) < 10:  # noqa: ASYNC110 - nothing tells that it has changed
            await asyncio.sleep(0.005)
    redis_server.kill()

    unavailable(await wire.trickle(noise(64 * 1024) for _ in range(48)))

    await wire.abort()
    await gone(redis_server, redis)
    await back(redis_server, redis)
    await server.application.services.background.settle()
    await server.application.services.files.sweep()
    assert await keys(redis_server) == []
    assert server.application.services.files.space.used == 0
    assert server.application.services.background.failures == {}


@pytest.mark.parametrize("how", ["Redis goes", "Redis loses a chunk", "Redis loses everything"])
async def test_a_download_that_cannot_go_on_is_cut_and_not_taken_for_whole(
    server: InsideServer, redis_server: Valkey, redis: Redis, how: str
) -> None:
    two = await Two.meet(server)
    info = await two.upload(noise(10 * MIB))
    wire = await Wire.open(server, 1024)
    await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert f"content-length: {10 * MIB}".encode() in head

    if how == "Redis goes":
        redis_server.kill()
    elif how == "Redis loses a chunk":
        await redis_server.command("DEL", f"file:{info['fileId']}:150")
    else:
        await redis_server.command("FLUSHALL")

    received = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while data := await wire.reader.read(65_536):
                received += data
    await wire.abort()
    assert len(received) < 10 * MIB
    assert noise(10 * MIB).startswith(received)
    assert server.application.services.background.failures == {}
