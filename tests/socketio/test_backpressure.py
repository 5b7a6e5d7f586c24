"""Clients that do not read: each is closed with a reason, memory is bounded, and other clients are not affected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from passerby.socketio import Options, Server, Socket
from tests.support.sio_client import (
    PING,
    ClosedError,
    PollingClient,
    WebSocketClient,
    connected,
    frame,
)
from tests.support.sio_server import BOUND, Running, echo, running, until

SMALL = 4_096
"""Receive buffer of a client that does not read: small, so that data soon accumulates in the server."""
CHUNK = "x" * 32_768
ENOUGH = 300
"""Number of chunks that exceeds the kernel's buffers."""


class Stage:
    """A server, a reading client, and the close reasons of sockets."""

    def __init__(self, options: Options) -> None:
        self.subject: Server = echo(options)
        self.namespace = self.subject.namespace()
        self.reasons: asyncio.Queue[str] = asyncio.Queue()
        self.namespace.on_disconnect = lambda _socket, reason: self.reasons.put_nowait(reason)

    @contextlib.asynccontextmanager
    async def deaf_websocket(self, server: Running) -> AsyncIterator[tuple[WebSocketClient, Socket]]:
        """Connect a client that does not read."""
        async with WebSocketClient.open(server.port, receive_buffer=SMALL) as client:
            await client.receive()
            await client.send("40")
            await client.receive()
            await client.receive()
            *_, socket = self.namespace.sockets.values()
            yield client, socket


async def chats_on(client: WebSocketClient | PollingClient) -> None:
    """Check that the server still serves `client`."""
    await client.send('42["message","on"]')
    while await client.receive() != '42["message-back","on"]':
        pass


async def test_an_outbox_that_overflows_closes_its_websocket_and_nobody_else_s() -> None:
    stage = Stage(Options(outbox_limit=256 * 1024))
    async with (
        running(stage.subject) as server,
        connected(server.port) as other,
        stage.deaf_websocket(server) as (client, socket),
    ):
        most = 0
        for _ in range(ENOUGH):
            if not socket.connected:
                break
            socket.emit("chunk", CHUNK)
            await chats_on(other)
            most = max(most, unsent(server))
        assert stage.reasons.get_nowait() == "outbox_overflow"
        assert most <= 256 * 1024 + 2 * len(CHUNK)
        end = await client.closed()  # it reads now, and gets the reason
        assert (end.code, end.reason) == (1013, "outbox_overflow")
        await chats_on(other)


def unsent(server: Running) -> int:
    """Return the largest number of bytes buffered for one client."""
    websockets = [session._websocket for session in server.engine.sessions.values()]
    return max((websocket._wire.get_write_buffer_size() for websocket in websockets if websocket), default=0)


async def test_a_burst_beyond_the_limit_in_one_turn_closes_only_its_websocket() -> None:
    stage = Stage(Options(outbox_limit=64 * 1024))
    async with (
        running(stage.subject) as server,
        connected(server.port) as other,
        stage.deaf_websocket(server) as (_, socket),
    ):
        for _ in range(ENOUGH):
            socket.emit("chunk", CHUNK)
        assert await asyncio.wait_for(stage.reasons.get(), BOUND) == "outbox_overflow"
        await chats_on(other)


async def test_a_websocket_that_does_not_read_for_long_is_closed_and_nobody_else_s() -> None:
    stage = Stage(Options(outbox_limit=64 << 20, stall_timeout=0.2))
    async with (
        running(stage.subject) as server,
        connected(server.port) as other,
        stage.deaf_websocket(server) as (_, socket),
    ):
        while unsent(server) < 1 << 20:
            socket.emit("chunk", CHUNK)
            await chats_on(other)
        while stage.reasons.empty():
            await chats_on(other)
            await asyncio.sleep(0.01)
        assert stage.reasons.get_nowait() == "stalled"
        await chats_on(other)


async def test_a_client_that_is_cut_off_for_not_reading_leaves_nothing_behind() -> None:
    stage = Stage(Options(outbox_limit=64 * 1024, close_timeout=0.1))
    async with running(stage.subject) as server, stage.deaf_websocket(server) as (_, socket):
        for _ in range(ENOUGH):
            socket.emit("chunk", CHUNK)
        assert await asyncio.wait_for(stage.reasons.get(), BOUND) == "outbox_overflow"
        await until(lambda: not server.uvicorn.server_state.connections)
        assert not server.engine.sessions
        assert not server.engine.closing
        assert not server.engine.stalled


async def test_a_slow_reader_that_reads_is_not_closed() -> None:
    stage = Stage(Options(outbox_limit=64 << 20))
    async with running(stage.subject) as server, stage.deaf_websocket(server) as (client, socket):
        sent = 0
        while unsent(server) < 1 << 18:
            socket.emit("chunk", CHUNK)
            sent += 1
            await asyncio.sleep(0)
        assert len(server.engine.stalled) == 1
        for _ in range(sent):
            assert str(await client.receive()).startswith('42["chunk"')
        assert not server.engine.stalled
        await chats_on(client)
        assert stage.reasons.empty()


async def test_pings_without_reading_the_pongs_fill_no_memory() -> None:
    limit = 64 * 1024
    stage = Stage(Options(outbox_limit=limit, stall_timeout=BOUND))
    batch = frame(PING, "x" * 125) * 500
    async with (
        running(stage.subject) as server,
        connected(server.port) as other,
        stage.deaf_websocket(server) as (client, _),
    ):
        most = 0
        for _ in range(200):  # 12 MB of pongs
            if not stage.reasons.empty():
                break
            client.write(batch)
            await chats_on(other)
            most = max(most, unsent(server))
        assert most <= limit + len(batch)
        assert await asyncio.wait_for(stage.reasons.get(), BOUND) in ("outbox_overflow", "too_many_packets")


async def test_an_outbox_that_overflows_closes_a_session_that_does_not_poll() -> None:
    stage = Stage(Options(outbox_limit=64 * 1024))
    async with (
        running(stage.subject) as server,
        connected(server.port) as other,
        connected(server.port, "polling") as client,
    ):
        await client.receive()
        *_, socket = stage.namespace.sockets.values()
        for number in range(4):
            socket.emit("chunk", number, "x" * 20_000)
        assert stage.reasons.get_nowait() == "outbox_overflow"
        assert isinstance(client, PollingClient)
        for number in range(4):
            assert str(await client.receive()).startswith(f'42["chunk",{number},')
        assert isinstance(await client.closed(), ClosedError)
        await chats_on(other)


async def test_packets_that_nobody_polls_for_close_the_session_in_time() -> None:
    stage = Stage(Options(stall_timeout=0.1))
    async with running(stage.subject) as server, connected(server.port, "polling") as client:
        await client.receive()
        (socket,) = stage.namespace.sockets.values()
        socket.emit("unread")
        assert await asyncio.wait_for(stage.reasons.get(), BOUND) == "stalled"
        assert await client.receive() == '42["unread"]'
        await client.closed()


async def test_a_poll_in_time_stops_the_clock() -> None:
    stage = Stage(Options())
    async with running(stage.subject) as server, connected(server.port, "polling") as client:
        await client.receive()
        (socket,) = stage.namespace.sockets.values()
        for _ in range(3):
            socket.emit("read")
            assert len(server.engine.stalled) == 1
            assert await client.receive() == '42["read"]'
            assert not server.engine.stalled
        assert stage.reasons.empty()
