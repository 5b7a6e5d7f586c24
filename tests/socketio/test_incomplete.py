"""What is not complete yet, and what needs an answer, takes a bounded amount of memory of each connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from passerby.socketio import Engine, Options
from tests.support.sio_client import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ClosedError,
    WebSocketClient,
    connected,
    frame,
)
from tests.support.sio_server import echo, engine_echo, running

LIMIT = 8192
OPTIONS = Options(max_payload=LIMIT)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_packet_has_as_many_bytes_with_its_attachments_as_without(transport: str) -> None:
    subject = echo(OPTIONS)
    places = ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in range(4))
    text = f'454-["message",{places}]'
    most = (LIMIT - len(text)) // 4
    fitting: list[str | bytes] = [b"x" * most] * 3
    async with running(subject) as server:
        async with connected(server.port, transport) as client:
            await client.receive()
            for message in [text, *fitting, fitting[0]]:
                await client.send(message)
            assert str(await client.receive()).startswith("454-")
        async with connected(server.port, transport) as client:
            await client.receive()
            for message in [text, *fitting, b"x" * (most + 4)]:
                await client.send(message)
            assert (await client.closed()).code == (1009 if transport == "websocket" else None)


async def test_fragments_count_together_with_the_packet_that_waits_for_them() -> None:
    subject = echo(OPTIONS)
    async with running(subject) as server, connected(server.port) as client:
        assert isinstance(client, WebSocketClient)
        await client.receive()
        await client.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"x" * 4000)
        client.write(frame(BINARY, b"x" * 2000, fin=False) + frame(CONTINUATION, b"x" * 3000, fin=False))
        end = await client.closed()
        assert (end.code, end.reason) == (1009, "message_too_big")


async def test_after_a_packet_with_attachments_a_whole_message_fits_again() -> None:
    subject = echo(OPTIONS)
    async with running(subject) as server, connected(server.port) as client:
        assert isinstance(client, WebSocketClient)
        await client.receive()
        for _ in range(3):
            await client.send('451-["message",{"_placeholder":true,"num":0}]', b"x" * 7000)
            assert str(await client.receive()).startswith("451-")
            assert await client.receive() == b"x" * 7000
            text = '42["message","' + "y" * 7000 + '"]'
            client.write(frame(TEXT, text[:4000], fin=False) + frame(CONTINUATION, text[4000:]))
            assert str(await client.receive()).startswith('42["message-back"')


async def test_of_pings_that_come_together_the_last_is_answered() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(b"".join(frame(PING, str(number)) for number in range(200)) + frame(TEXT, "4end"))
        pongs = []
        while (got := await client.read_frame()).opcode == PONG:
            pongs.append(int(got.payload))
        assert got.payload == b"4end"
        assert pongs == sorted(pongs)
        assert pongs[-1] == 199
        assert len(pongs) < 50
        assert ends.empty()


async def test_pings_without_end_close_their_connection() -> None:
    engine, _ = engine_echo(Options(packet_rate=100))
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()
        client.write(frame(PING) * 5000)
        assert (await client.closed()).reason == "too_many_packets"


def buffers(engine: Engine) -> list[int]:
    """Return the sizes of picows' buffers."""
    websockets = [session._websocket for session in engine.sessions.values()]
    protocols: list[Any] = [websocket._wire.get_protocol() for websocket in websockets if websocket]
    return [len(protocol.get_buffer(-1)) for protocol in protocols]


async def test_a_flood_does_not_grow_the_buffer_without_bound() -> None:
    options = Options(packet_rate=1e9)
    engine, _ = engine_echo(options)
    async with running(engine) as server, WebSocketClient.open(server.port) as client:
        await client.receive()

        async def read() -> None:
            with suppress(ClosedError):
                while True:
                    await client.read_frame()

        reading = asyncio.create_task(read())
        flood = frame(PING, b"x" * 100) * 100_000
        for _ in range(3):
            client.write(flood)
            await client.line.drain()
        assert buffers(engine)
        assert max(buffers(engine)) <= 600 * 1024
        reading.cancel()
