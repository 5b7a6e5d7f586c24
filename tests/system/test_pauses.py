"""A server process that is stopped and continued blames no client for the time in which it could not read."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.client import Client
from tests.support.server import RunningServer, http_client
from tests.support.sio_client import Line, WebSocketClient, read_answer, request_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import ServerProcess

PAUSE = 5.0
"""Seconds: longer than what `watch` takes for a busy loop, and than every time limit below."""


async def test_after_a_pause_everybody_is_still_there(start_process: Callable[..., ServerProcess]) -> None:
    process = start_process(
        PING_INTERVAL="0.5", PING_TIMEOUT="2", GRACE="2", CONNECT_TIMEOUT="3", STALL_TIMEOUT="3"
    ).wait_until_ready()
    port = urlsplit(process.url).port or 0
    async with http_client(process.url) as http, AsyncExitStack() as open_ones:
        server = RunningServer(process.url, http)
        (anna, one), (_, other), room = await server.pair()
        guests = [await server.visitor() for _ in range(8)]
        away = await server.newcomer()
        gone = await server.connect(away)
        await gone.next("connection:established")
        unconnected = await open_ones.enter_async_context(WebSocketClient.open(port))
        uploading = await open_ones.enter_async_context(Line.open(port))
        fields = [("Host", "h"), ("Content-Length", "3"), *anna.headers.items()]
        uploading.write(request_head("PUT", f"/api/files/{room['roomId']}", fields) + b"a")
        half = await open_ones.enter_async_context(Line.open(port))
        half.write(b"POST /api/guest HTTP/1.1\r\n")
        await gone.close()
        await asyncio.sleep(0.3)

        os.kill(process.pid, signal.SIGSTOP)
        try:
            waiting = asyncio.create_task(Client.connect(process.url, {"token": away.token}))  # in the accept queue
            await asyncio.sleep(PAUSE)
        finally:
            os.kill(process.pid, signal.SIGCONT)

        back = await waiting
        assert (await back.next("connection:established"))["userId"] == away.id
        await back.close()
        uploading.write(b"bc")
        assert (await read_answer(uploading.reader)).status == 201
        half.write(b"Host: h\r\nContent-Length: 0\r\n\r\n")
        assert (await read_answer(half.reader)).status == 201
        await unconnected.send('40{"token":"none"}')
        assert str(await unconnected.receive()).startswith("0{")
        while not (packet := str(await unconnected.receive())).startswith("4"):
            assert packet == "2"
        await asyncio.sleep(1)
        assert not [client for _, client in guests if client.ended.is_set()]
        await one.emit("chat:typing:start")
        await other.until("chat:typing:start")
        pauses = [record for record in process.records() if "stood still" in record["message"]]
        assert len(pauses) == 1
        assert PAUSE - 1 <= pauses[0]["seconds"] <= PAUSE + 4
        await server.close()


async def test_a_guest_who_does_not_come_back_after_a_pause_is_still_given_up(
    start_process: Callable[..., ServerProcess],
) -> None:
    process = start_process(PING_INTERVAL="0.5", PING_TIMEOUT="1", GRACE="1").wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        (_, one), (_, other), _ = await server.pair()
        await one.close()
        await other.until("room:partner_away")
        os.kill(process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(PAUSE)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert (await other.until("room:closed"))["reason"] == "user_disconnected"
        await server.close()
