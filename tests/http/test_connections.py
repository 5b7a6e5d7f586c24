"""Connections that nobody ends, and too many of them: each is cut or refused, and the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from passerby.http.guard import MAX_PIPELINED, MAX_REFUSED, Guard, GuardedHttpProtocol
from passerby.socketio import Options
from passerby.socketio.session import Session
from passerby.socketio.websocket import WebSocketProtocol
from tests.support.conversation import Two, Wire, noise
from tests.support.sio_client import (
    Answer,
    ClosedError,
    Line,
    PollingClient,
    WebSocketClient,
    http,
    read_answer,
    request_head,
    upgrade_head,
)
from tests.support.sio_server import BOUND, PATH, engine_echo, running, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer
    from tests.support.server import InsideServer, ServerProcess

MIB = 1 << 20
HOST = ("Host", "h")
SMALL = 4096
"""Receive buffer of a client that does not read."""
TARGET = f"{PATH}?EIO=4&transport=polling"


def port_of(server: InsideServer | ServerProcess) -> int:
    return urlsplit(server.url).port or 0


def target_of(link: str) -> str:
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


# ── responses that are not read ───────────────────────────────────────────────────────────────────


async def test_a_download_that_is_not_read_is_cut(start_server: StartServer) -> None:
    server = await start_server(stall_timeout=0.3)
    two = await Two.meet(server)
    info = await two.upload(noise(8 * MIB))
    guard = server.application.guard
    before = guard.count
    async with Line.open(port_of(server), receive_buffer=SMALL) as line:
        line.write(request_head("GET", target_of(info["fileUrl"]), [HOST]))
        await until(lambda: guard.count == before + 1)
        await until(lambda: guard.count == before)
        await until(lambda: not any(files.downloads for files in server.application.services.files._by_room.values()))


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(upgrade_head(80, f"{PATH}?EIO=4&transport=websocket"), id="an upgrade"),
        pytest.param(upgrade_head(80, "/nothing"), id="an upgrade of nothing"),
        pytest.param(request_head("GET", "/health", [HOST]), id="another request"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_download_with_something_behind_it_ends_with_its_connection(
    start_server: StartServer, behind: bytes, *, at_once: bool
) -> None:
    server = await start_server()
    two = await Two.meet(server)
    info = await two.upload(noise(8 * MIB))
    guard = server.application.guard
    before = guard.count
    async with Line.open(port_of(server), receive_buffer=SMALL) as line:
        line.write(request_head("GET", target_of(info["fileUrl"]), [HOST]) + (behind if at_once else b""))
        if not at_once:
            await until(lambda: answering() == 1)
            line.write(behind)
        if b"pgrade" in behind:
            with contextlib.suppress(ConnectionError):
                await line.read_all()
            await until(lambda: guard.count == before)
        else:
            await until(lambda: answering() == 1)
            await two.part_ways()  # the download cuts its connection, and waits until that is gone
    await until(lambda: not answering())


def answering() -> int:
    """Return the number of requests that are being answered."""
    return sum("run_asgi" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_download_that_is_read_slowly_is_not_cut(start_server: StartServer) -> None:
    server = await start_server(stall_timeout=0.5)
    two = await Two.meet(server)
    info = await two.upload(body := noise(8 * MIB))
    async with Line.open(port_of(server), receive_buffer=SMALL) as line:
        line.write(request_head("GET", target_of(info["fileUrl"]), [HOST, ("Connection", "close")]))
        read = bytearray()
        for _ in range(15):
            read += await line.reader.readexactly(16 * 1024)
            await asyncio.sleep(0.1)
        read += await line.read_all()
    assert read.endswith(body)


async def test_a_client_that_reads_next_to_nothing_is_cut(start_server: StartServer) -> None:
    server = await start_server(stall_timeout=0.3)
    two = await Two.meet(server)
    info = await two.upload(noise(8 * MIB))
    guard = server.application.guard
    before = guard.count
    async with Line.open(port_of(server), receive_buffer=SMALL) as line:
        line.write(request_head("GET", target_of(info["fileUrl"]), [HOST]))
        await until(lambda: guard.count == before + 1)
        async with asyncio.timeout(BOUND):
            while guard.count > before:
                with contextlib.suppress(ConnectionError):
                    await line.reader.read(10)
                await asyncio.sleep(0.02)


async def test_a_small_answer_that_is_not_read_is_cut_although_it_is_complete(start_server: StartServer) -> None:
    """A closing transport first writes what waits. Without a limit it would wait for ever."""
    server = await start_server(stall_timeout=0.3)
    guard = server.application.guard
    before = guard.count
    async with Line.open(port_of(server), receive_buffer=SMALL) as line:
        head = request_head("GET", "/schema/openapi.json", [HOST])
        async with asyncio.timeout(BOUND):
            for _ in range(1000):
                line.write(head)
                await asyncio.sleep(0.005)
                if guard.count == before and line._writer.transport.is_closing():
                    break
        await until(lambda: guard.count == before)


async def test_requests_before_an_answer_are_bounded(start_server: StartServer) -> None:
    server = await start_server()
    guard = server.application.guard
    async with Line.open(port_of(server)) as line:
        line.write(request_head("GET", "/health", [HOST]) * (MAX_PIPELINED + 1))
        for _ in range(MAX_PIPELINED + 1):
            assert (await read_answer(line.reader)).status == 200
    await until(lambda: not guard.count)
    async with Line.open(port_of(server)) as line:
        line.write(request_head("GET", "/health", [HOST]) * (MAX_PIPELINED + 2))
        await line.read_all()
    await until(lambda: not guard.count)


async def test_requests_behind_a_poll_are_bounded() -> None:
    engine, _ = engine_echo(Options())
    guard = Guard()
    async with running(engine, guard) as server, PollingClient.open(server.port) as client:
        await client.receive()
        poll = request_head("GET", client.target, [HOST])
        async with Line.open(server.port) as line:
            line.write(poll * 3 * MAX_PIPELINED)
            assert await line.read_all() == b""
        await until(lambda: not guard.count)


# ── requests that do not come ─────────────────────────────────────────────────────────────────────


async def test_a_body_that_trickles_in_is_answered_and_ended(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.5)
    server = await start_server()
    async with Line.open(port_of(server)) as line:
        line.write(
            request_head("POST", "/api/guest", [HOST, ("Content-Type", "application/json"), ("Content-Length", "1000")])
        )

        async def trickle() -> None:
            while True:
                line.write(b" ")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        answer = await read_answer(line.reader)
        trickling.cancel()
        assert (answer.status, answer.json["code"]) == (408, "request_timeout")


async def test_the_rest_of_a_body_that_was_answered_early_has_a_deadline(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.5)
    server = await start_server()
    two = await Two.meet(server)
    guard = server.application.guard
    before = guard.count
    async with Line.open(port_of(server)) as line:
        fields = [HOST, ("Content-Length", "1000000"), *two.anna.headers.items()]
        line.write(request_head("PUT", "/api/files/another-room", fields) + b"x")
        assert (await read_answer(line.reader)).status == 403

        async def trickle() -> None:
            while True:
                line.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        await until(lambda: guard.count == before)
        trickling.cancel()


async def test_an_upload_has_a_time_of_its_own(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.http.guard.PART_TIMEOUT", 0.5)
    server = await start_server()
    two = await Two.meet(server)
    wire = await Wire.open(server)
    body = noise(20_000)
    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1",
        "Host: h",
        f"Authorization: {two.anna.headers['Authorization']}",
        f"Content-Length: {len(body)}",
    )
    for start in range(0, len(body), 1000):
        await wire.push(body[start : start + 1000])
        await asyncio.sleep(0.1)
    assert (await wire.answer()).status == 201
    await wire.abort()


# ── too many connections ──────────────────────────────────────────────────────────────────────────


async def ask(port: int) -> Answer:
    return await http(port, "GET", "/health")


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"max_connections": 3}, 503, "unavailable"),
        ({"max_address_connections": 3}, 429, "rate_limited"),
    ],
)
async def test_connections_of_both_kinds_are_counted_and_refused(
    start_server: StartServer, settings: dict[str, int], status: int, code: str
) -> None:
    server = await start_server(**settings)
    port, guard = port_of(server), server.application.guard
    async with AsyncExitStack() as open_ones:
        await open_ones.enter_async_context(Line.open(port))
        for _ in range(2):
            await open_ones.enter_async_context(WebSocketClient.open(port))
        await until(lambda: guard.count == 3)
        answer = await ask(port)
        assert (answer.status, answer.json["code"], answer.json["retryAfter"]) == (status, code, 5)
        assert answer.headers["retry-after"] == "5"
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(port):
                pass
        assert refused.value.code == status
        async with Line.open(port) as silent:
            assert (await read_answer(silent.reader)).status == status
    await until(lambda: not guard.count)
    assert (await ask(port)).status == 200
    await until(lambda: (guard.count, guard.refused, guard.addresses._counts) == (0, 0, {}))


async def test_a_websocket_keeps_nothing_of_the_request_that_it_was(start_server: StartServer) -> None:
    server = await start_server()
    guard = server.application.guard

    async with WebSocketClient.open(port_of(server)):
        gc.collect()
        protocols = [kept for kept in gc.get_objects() if isinstance(kept, GuardedHttpProtocol)]
        assert [kept for kept in protocols if kept._guard is guard] == []


async def test_what_has_ended_is_freed_without_the_garbage_collector(start_server: StartServer) -> None:
    server = await start_server()
    port, guard = port_of(server), server.application.guard

    def is_ours(kept: object) -> bool:
        if isinstance(kept, GuardedHttpProtocol):
            return kept._guard is guard
        return isinstance(kept, Session) and kept._engine is server.application.server.engine

    gc.collect()
    gc.disable()
    try:
        assert (await ask(port)).status == 200
        assert (await http(port, "GET", "/api/guest/me")).status == 401
        assert (await http(port, "GET", "bad")).status == 400
        async with WebSocketClient.open(port), PollingClient.open(port) as polling:
            await polling.send("1")
        await until(lambda: not guard.count)
        await until(lambda: not [kept for kept in gc.get_objects() if is_ours(kept)])
    finally:
        gc.enable()


async def test_a_websocket_that_is_refused_is_no_longer_counted(start_server: StartServer) -> None:
    server = await start_server()
    port, guard = port_of(server), server.application.guard
    for query in ("?EIO=3&transport=websocket", "?EIO=4&transport=websocket&sid=none"):
        with pytest.raises(ClosedError):
            async with WebSocketClient.open(port, PATH + query):
                pass
    await until(lambda: (guard.count, guard.addresses._counts) == (0, {}))


async def test_a_websocket_that_fails_at_its_beginning_is_no_longer_counted(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_protocol: WebSocketProtocol, _head: bytes) -> None:
        raise ValueError("a bug")

    server = await start_server(trusted_proxies=("127.0.0.0/8",))
    port, guard = port_of(server), server.application.guard
    monkeypatch.setattr(WebSocketProtocol, "data_received", fail)
    with pytest.raises(ClosedError):
        async with WebSocketClient.open(port, headers=[("X-Forwarded-For", "198.51.100.1")]):
            pass
    await until(lambda: (guard.count, guard.addresses._counts) == (0, {}))


async def test_refused_connections_are_few(start_server: StartServer) -> None:
    server = await start_server(max_connections=1)
    port, guard = port_of(server), server.application.guard
    async with AsyncExitStack() as open_ones:
        lines = [await open_ones.enter_async_context(Line.open(port)) for _ in range(MAX_REFUSED + 50)]
        most = 0
        for line in lines[1:]:
            await line.read_all()
            most = max(most, guard.refused)
        assert most <= MAX_REFUSED
        await until(lambda: not guard.refused)
        assert guard.count == 1


@pytest.mark.parametrize(("address", "another"), [("198.51.100.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:0:1::1")])
async def test_clients_behind_a_proxy_are_counted_each(start_server: StartServer, address: str, another: str) -> None:
    server = await start_server(max_address_connections=2, trusted_proxies=("127.0.0.0/8",))
    port, guard = port_of(server), server.application.guard
    one, other = [("X-Forwarded-For", address)], [("X-Forwarded-For", another)]
    async with AsyncExitStack() as open_ones:
        for headers in (one, one, other):
            await open_ones.enter_async_context(WebSocketClient.open(port, headers=headers))
        for _ in range(5):  # connections that the proxy keeps
            await open_ones.enter_async_context(Line.open(port))
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(port, headers=one):
                pass
        assert refused.value.code == 429
        answer = await http(port, "GET", "/health", headers=one)
        assert (answer.status, answer.json["code"]) == (429, "rate_limited")
        assert (await http(port, "GET", "/health", headers=other)).status == 200
    await until(lambda: (guard.count, guard.addresses._counts) == (0, {}))
    assert (await http(port, "GET", "/health", headers=one)).status == 200


# ── the process ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process can be set on Linux only")
async def test_a_process_out_of_descriptors_says_so_once_and_recovers(
    start_process: Callable[..., ServerProcess],
) -> None:
    process = start_process().wait_until_ready()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (40, 40))

    def said() -> list[str]:
        return [record["message"] for record in process.records() if "no file descriptors" in record["message"]]

    async with AsyncExitStack() as open_ones:
        for _ in range(60):
            await open_ones.enter_async_context(Line.open(port_of(process)))
        await until(said)
        await asyncio.sleep(1.5)
    async with asyncio.timeout(BOUND):
        while True:
            with contextlib.suppress(ClosedError, ConnectionError):
                assert (await ask(port_of(process))).status == 200
                break
            await asyncio.sleep(0.1)
    assert len(said()) == 1
