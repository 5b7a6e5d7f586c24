"""`passerby serve` that is stopped: guests are told before, and what is under way gets its time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.server import running
from tests.support.sio_client import Line, read_answer, request_head
from tests.support.valkey import valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.server import ServerProcess

SDP = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
NOTICE = 3.0
"""Seconds: enough to ask for several things on a busy machine before it is over."""
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture
async def valkey_url() -> AsyncIterator[str]:
    async with valkey() as store:
        yield store.url


@pytest.fixture
def process(start_process: Callable[..., ServerProcess], request: pytest.FixtureRequest) -> ServerProcess:
    """Run a server, with workers if the test has them."""
    workers = request.getfixturevalue("workers") if "workers" in request.fixturenames else "1"
    return start_process(
        WORKERS=workers, STOP_NOTICE=str(NOTICE), STOP_PATIENCE="30", STOP_AWAY="2", CONSENT="none"
    ).wait_until_ready()


async def ended(process: ServerProcess) -> int:
    return await asyncio.to_thread(process.wait)


@WORKERS
async def test_guests_are_told_and_nothing_begins(process: ServerProcess, workers: str) -> None:
    del workers
    async with running(process) as server:
        (_, one), (_, other), _ = await server.pair()
        searching = await server.newcomer()
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        for client in (one, other):
            event = await client.until("connection:closing")
            assert event["code"] == "server_shutting_down"
            assert NOTICE - 1 <= event["closesIn"] <= NOTICE
            assert event["closesIn"] + 2 <= event["returnIn"] <= event["closesIn"] + 3
            assert event["kept"] is False  # the Valkey of the workers ends with them
        await one.say("goodbye")
        assert (await other.until("chat:message"))["content"] == "goodbye"

        answer = await server.http.post("/api/guest")
        while answer.status_code == 201:  # at a worker that has not got the signal yet
            answer = await server.http.post("/api/guest")
        assert (answer.status_code, answer.json()["code"]) == (503, "server_shutting_down")
        assert int(answer.headers["retry-after"]) >= 2
        ready = await server.http.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "unavailable")
        late = await server.connect(searching)
        await late.until("connection:closing")
        await late.emit("user:match", {})
        assert (await late.until("user:match:error"))["code"] == "server_shutting_down"

        for client in (one, other, late):
            await client.gone()
            assert client.close_code == 1012
        assert await ended(process) == 0
        assert time.monotonic() - began >= NOTICE


async def test_an_upload_under_way_gets_its_time_and_its_file_is_delivered(process: ServerProcess) -> None:
    async with running(process) as server:
        (anna, one), (_, other), room = await server.pair()
        (_, third), _, _ = await server.pair()
        async with Line.open(urlsplit(process.url).port or 0) as uploading:
            fields = [("Host", "h"), ("Content-Length", "3"), ("X-File-Name", "a.txt"), *anna.headers.items()]
            uploading.write(request_head("PUT", f"/api/files/{room['roomId']}", fields) + b"a")
            await uploading.drain()
            await server.stats(anna)  # what was sent before has come
            os.kill(process.pid, signal.SIGTERM)
            assert (await other.until("connection:closing"))["closesIn"] > NOTICE + 5
            assert (await third.until("connection:closing"))["closesIn"] <= NOTICE
            await third.gone()
            uploading.write(b"bc")
            answer = await read_answer(uploading.reader)
            assert answer.status == 201
            await one.ask("chat:message", {"type": "file", "content": answer.json["data"]})
            assert (await other.until("chat:message"))["content"]["filename"] == "a.txt"
            await other.gone()
        assert await ended(process) == 0


async def test_a_server_without_guests_stops_at_once(process: ServerProcess) -> None:
    began = time.monotonic()
    assert await asyncio.to_thread(process.terminate) == 0
    assert time.monotonic() - began < NOTICE


@WORKERS
@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
async def test_who_is_in_a_hurry_need_not_wait(process: ServerProcess, workers: str, signals: list[int]) -> None:
    del workers
    async with running(process) as server:
        _, client = await server.visitor()
        began = time.monotonic()
        for number in signals:
            os.kill(process.pid, number)
            if number == signal.SIGTERM:
                await client.until("connection:closing")
                break
        for number in signals[1:]:
            os.kill(process.pid, number)
        await client.gone()
        assert await ended(process) == 0
        assert time.monotonic() - began < NOTICE


async def test_sessions_and_conversations_of_redis_outlive_the_stop(
    start_process: Callable[..., ServerProcess], valkey_url: str
) -> None:
    settings = {"STOP_NOTICE": "0.5", "STOP_PATIENCE": "0.5", "REDIS_URL": valkey_url}
    first = start_process(**settings).wait_until_ready()
    async with running(first) as server:
        (anna, one), (berta, other), room = await server.pair()
        os.kill(first.pid, signal.SIGTERM)
        assert (await one.until("connection:closing"))["kept"] is True
        await one.say("before the end")
        await other.until("chat:message")
        await one.gone()
    assert await ended(first) == 0
    second = start_process(**settings).wait_until_ready()
    async with running(second) as server:
        back = [await server.connect(who, resume={"roomId": room["roomId"], "seq": 0}) for who in (anna, berta)]
        for client in back:
            assert (await client.next("connection:established"))["room"]["roomId"] == room["roomId"]
        assert (await back[1].until("chat:message"))["content"] == "before the end"


async def test_with_another_machine_guests_are_sent_there_over_the_draining_time(
    start_process: Callable[..., ServerProcess], valkey_url: str
) -> None:
    settings = {"STOP_NOTICE": "60", "DRAIN_SECONDS": "1", "REDIS_URL": valkey_url}
    first = start_process(**settings).wait_until_ready()
    second = start_process(**settings).wait_until_ready()
    async with running(first) as server:
        (anna, one), (_, other), room = await server.pair()
        os.kill(first.pid, signal.SIGTERM)
        for client in (one, other):
            await client.gone()
            assert client.close_code == 1012
    assert await ended(first) == 0
    async with running(second) as server:
        back = await server.connect(anna, resume={"roomId": room["roomId"], "seq": 0})
        assert (await back.next("connection:established"))["room"]["roomId"] == room["roomId"]


async def test_machines_that_are_stopped_together_tell_their_guests(
    start_process: Callable[..., ServerProcess], valkey_url: str
) -> None:
    settings = {"STOP_NOTICE": str(NOTICE), "DRAIN_SECONDS": "5", "REDIS_URL": valkey_url}
    processes = [start_process(**settings).wait_until_ready() for _ in range(2)]
    async with running(processes[0]) as one, running(processes[1]) as other:
        guests = [(await one.visitor())[1], (await other.visitor())[1]]
        for process in processes:
            os.kill(process.pid, signal.SIGTERM)
        for client in guests:
            event = await client.until("connection:closing")
            assert (event["kept"], event["closesIn"] > 0) == (True, True)
    assert [await ended(process) for process in processes] == [0, 0]


@pytest.mark.parametrize("what", ["call", "upload"])
async def test_what_is_under_way_between_two_workers_gets_its_time(
    start_process: Callable[..., ServerProcess], what: str
) -> None:
    """The room is on one worker, connections and uploads come to any of them."""
    process = start_process(
        WORKERS="2", STOP_NOTICE="2", STOP_PATIENCE="30", STOP_AWAY="2", CONSENT="none", MATCH_PATIENCE="0"
    ).wait_until_ready()
    port = urlsplit(process.url).port or 0
    async with running(process) as server, AsyncExitStack() as stack:
        (anna, one), (_, other), room = await server.pair()
        lines = []
        if what == "call":
            await one.emit("webrtc:offer", {"offer": {"type": "offer", "sdp": SDP}, "type": "audio"})
            await other.until("webrtc:offer")
        else:
            for number in range(4):  # connections of their own: each comes to one of the workers
                line = await stack.enter_async_context(Line.open(port))
                fields = [("Host", "h"), ("Content-Length", "3"), ("X-File-Name", f"{number}.txt")]
                line.write(request_head("PUT", f"/api/files/{room['roomId']}", [*fields, *anna.headers.items()]) + b"a")
                await line.drain()
                lines.append(line)
            await server.stats(anna)
            await asyncio.sleep(0.5)  # the workers ask each other, and tell nobody when they have
        os.kill(process.pid, signal.SIGTERM)
        for client in (one, other):
            assert (await client.until("connection:closing"))["closesIn"] > 20
        await asyncio.sleep(2)  # longer than the notice
        assert one.is_open
        assert other.is_open
        if what == "call":
            await one.emit("webrtc:call-end", {})
        for line in lines:
            line.write(b"bc")
            answer = await read_answer(line.reader)
            assert answer.status == 201
        for client in (one, other):
            assert (await client.until("connection:closing"))["closesIn"] <= 3
            await client.gone()
    assert await ended(process) == 0
