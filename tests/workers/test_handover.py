"""Requests that arrive at the wrong worker, over real connections. SESSIONS=1000 is the long form."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.sio_client import ClosedError, Line, WebSocketClient, read_answer, request_head
from tests.support.sio_server import PATH
from tests.support.workers import Workers, descriptors_of, opened, poll, post, runs, sid_of, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.workers.conftest import StartWorkers

SESSIONS: Final = int(os.environ.get("SESSIONS", "120"))
AT_ONCE: Final = 20
"""Sessions that are served together."""
UNKNOWN: Final = "Session ID unknown"


async def all_of(visit: Callable[[], Coroutine[None, None, None]]) -> None:
    """Call `visit` for all sessions, some at once."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with turns:
            await visit()

    async with asyncio.TaskGroup() as group:
        for _ in range(SESSIONS):
            group.create_task(one())


async def ask(line: Line, request: bytes) -> str:
    line.write(request)
    answer = await read_answer(line.reader)
    assert answer.status == 200, answer.text
    return answer.text


async def alone(port: int, request: bytes) -> str:
    """Make a request on a connection of its own, which any worker accepts."""
    async with Line.open(port) as line:
        return await ask(line, request)


async def test_polling_reaches_its_worker_from_anywhere(start_workers: StartWorkers) -> None:
    port = start_workers(3).port

    async def visit() -> None:
        sid = await opened(port)
        for _ in range(2):
            assert await alone(port, post(sid, b"40")) == "ok"
            assert (await alone(port, poll(sid))).startswith("44")

    await all_of(visit)


async def test_an_upgrade_reaches_its_worker_from_anywhere(start_workers: StartWorkers) -> None:
    port = start_workers(3).port

    async def visit() -> None:
        sid = await opened(port)
        async with WebSocketClient.open(port, f"{PATH}?EIO=4&transport=websocket&sid={sid}") as client:
            await client.send("2probe")
            assert await client.receive() == "3probe"
            await client.send("5", "40")
            assert str(await client.receive()).startswith("44")

    await all_of(visit)


async def test_one_connection_serves_sessions_of_all_workers(start_workers: StartWorkers) -> None:
    crew = start_workers(3)
    sids = list((await crew.sids(3)).values())

    async def visit() -> None:
        own = await opened(crew.port)
        async with Line.open(crew.port) as line:
            for sid in (*sids, own):
                assert await ask(line, post(sid, b"3")) == "ok"
                await ask(line, request_head("GET", "/health", [("Host", "h")]))
            assert sid_of(await ask(line, poll()))

    await all_of(visit)


@pytest.mark.parametrize("size", [1, 30, 1000])
async def test_a_request_may_come_in_pieces(start_workers: StartWorkers, size: int) -> None:
    crew = start_workers(3)
    body = b"40" + b" " * 100_000
    async with Line.open(crew.port) as line:
        for sid in (await crew.sids(3)).values():
            request = b"\r\n" + post(sid, body)
            head = request[: -len(body)]
            for begin in range(0, len(head), size):
                line.write(head[begin : begin + size])
                await asyncio.sleep(0)
            assert await ask(line, body) == "ok"


async def test_a_session_of_nobody_is_unknown(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    sids = await crew.sids(2)
    async with Line.open(crew.port) as line:
        for sid in ("x", "..", "../x", "-" * 20, next(iter(sids)) + "0" * 20, ""):
            line.write(poll(sid))
            if sid:
                assert UNKNOWN in (await read_answer(line.reader)).text
            else:
                assert sid_of((await read_answer(line.reader)).text)


async def test_a_session_of_a_dead_worker_is_unknown(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    sids = await crew.sids(2)
    for pid in crew.workers():
        os.kill(pid, signal.SIGKILL)
    await crew.logged("has died", 2)
    async with Line.open(crew.port) as line:  # accepted by the next one
        for sid in sids.values():
            line.write(poll(sid))
            assert UNKNOWN in (await read_answer(line.reader)).text
    with pytest.raises(ClosedError, match=UNKNOWN):
        async with WebSocketClient.open(crew.port, f"{PATH}?EIO=4&transport=websocket&sid={sid}"):
            pass


async def test_a_new_session_begins_where_it_wishes(start_workers: StartWorkers) -> None:
    crew = start_workers(3)
    for wish in await crew.sids(3):
        for _ in range(10):
            assert tag(await opened(crew.port, f"&at={wish}")) == wish
            async with WebSocketClient.open(crew.port, f"{PATH}?EIO=4&transport=websocket&at={wish}") as client:
                assert tag(sid_of(str(await client.receive()))) == wish
    for wish in ("", "x", "../../etc", "zzzz"):
        assert await opened(crew.port, f"&at={wish}")


async def test_connections_of_an_address_are_counted_where_they_are(start_workers: StartWorkers) -> None:
    crew = start_workers(2, "--limits-scale", "1", "--max-address-connections", "4")
    sids = await crew.sids(2)
    for _ in range(10):  # nothing is left of those that were passed on
        async with Line.open(crew.port) as line:
            for sid in sids.values():
                assert await ask(line, post(sid, b"3")) == "ok"
    for sid in sids.values():
        async with AsyncExitStack() as stack:

            async def arrive(stack: AsyncExitStack = stack, sid: str = sid) -> int:
                line = await stack.enter_async_context(Line.open(crew.port))
                line.write(post(sid, b"3"))
                return (await read_answer(line.reader)).status

            assert [await arrive() for _ in range(6)] == [200] * 4 + [429] * 2


async def test_requests_for_a_worker_that_pauses_wait(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    (first, sid), (_, other) = (await crew.sids(2)).items()
    paused = _worker_of(crew, first)
    os.kill(paused, signal.SIGSTOP)
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(Line.open(crew.port)) for _ in range(1000)]
        for line in lines:  # more than its inbox takes
            line.write(post(sid, b"3"))
        for _ in range(10):
            await alone(crew.port, post(other, b"3"))  # nobody else waits
        os.kill(paused, signal.SIGCONT)
        answers = [(await read_answer(line.reader)).status for line in lines]
    assert answers == [200] * len(lines)


def _worker_of(crew: Workers, tag: str) -> int:
    """Return the process id of the worker with a tag: the one whose inbox has its name."""
    inboxes = [line.split() for line in Path("/proc/net/unix").read_text(encoding="ascii").splitlines()]
    (inode,) = [entry[6] for entry in inboxes if len(entry) > 7 and entry[7].endswith(f"/{tag}")]
    (pid,) = [pid for pid in crew.workers() if f"socket:[{inode}]" in descriptors_of(pid)]
    return pid


async def test_open_connections_of_a_worker_that_ends_go_to_another(start_workers: StartWorkers) -> None:
    crew = start_workers(2)
    lines: list[Line] = []
    async with AsyncExitStack() as stack:
        for number in range(20):
            lines.append(await stack.enter_async_context(Line.open(crew.port)))
            if number % 2:  # the others have not sent anything yet
                await ask(lines[-1], request_head("GET", "/health", [("Host", "h")]))
        first = crew.workers()[0]
        os.kill(first, signal.SIGTERM)
        await crew.until(lambda: not runs(first))
        for line in lines:
            assert sid_of(await ask(line, poll()))
