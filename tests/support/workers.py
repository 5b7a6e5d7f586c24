"""`passerby serve --workers N` as processes: who runs, who serves which session, and clients that come all the time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from passerby.workers.crew import TAG
from tests.support.server import START_PATIENCE, ServerProcess
from tests.support.sio_client import ClosedError, Line, WebSocketClient, read_answer, request_head
from tests.support.sio_server import PATH
from tests.support.valkey import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_WORKER: Final = b"passerby.workers.worker"
_EVERY: Final = 0.005
"""Seconds between two connections of `coming`."""


def command_of(pid: int) -> bytes:
    """Return the command line of a process; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def runs(pid: int) -> bool:
    """Return whether a process has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def descriptors_of(pid: int) -> set[str]:
    """Return what the descriptors of a process lead to."""
    targets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            targets.add(str(entry.readlink()))
    return targets


def children_of(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [child for child in map(int, children) if runs(child)]


def workers_of(pid: int) -> list[int]:
    """Return the process ids of the workers of a parent."""
    return [child for child in children_of(pid) if _WORKER in command_of(child)]


class Workers:
    """The parent, and what there is to know of its children."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process

    @property
    def port(self) -> int:
        return int(self.process.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return workers_of(self.process.pid)

    def valkey(self) -> int | None:
        """Return the process id of the embedded Valkey."""
        return next((child for child in children_of(self.process.pid) if b"valkey" in command_of(child)), None)

    def all(self) -> list[int]:
        """Return the process ids of the parent and of all that it has started."""
        return [self.process.pid, *children_of(self.process.pid)]

    def records(self, event: str) -> list[dict[str, Any]]:
        """Return the log records whose event contains `event`."""
        return [record for record in self.process.records() if event in record["message"]]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds: processes tell nobody what they do."""

        async def holds() -> bool:
            return condition()

        await until(holds, patience=START_PATIENCE)

    async def logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until there are `times` log records of an event; return all."""
        await self.until(lambda: len(self.records(event)) >= times)
        return self.records(event)

    async def sids(self, number: int) -> dict[str, str]:
        """See `sids_at`."""
        return await sids_at(self.port, number)

    def kill(self) -> None:
        """End everything."""
        pids = self.all()
        self.process.stop()
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def tag(sid: str) -> str:
    """Return the tag of the worker that has a session."""
    return sid[:TAG]


def sid_of(packet: str) -> str:
    """Return the `sid` in an open packet."""
    sid: str = json.loads(packet.split("\x1e", maxsplit=1)[0][1:])["sid"]
    return sid


def poll(sid: str = "", query: str = "") -> bytes:
    """Return the request that opens a session, or polls."""
    target = f"{PATH}?EIO=4&transport=polling{query}" + (f"&sid={sid}" if sid else "")
    return request_head("GET", target, [("Host", "h")])


def post(sid: str, body: bytes) -> bytes:
    """Return the request that sends packets."""
    target = f"{PATH}?EIO=4&transport=polling&sid={sid}"
    return request_head("POST", target, [("Host", "h"), ("Content-Length", str(len(body)))]) + body


async def opened(port: int, query: str = "") -> str:
    """Open a polling session on a connection of its own; return its `sid`."""
    async with Line.open(port) as line:
        line.write(poll("", query))
        return sid_of((await read_answer(line.reader)).text)


async def sids_at(port: int, number: int) -> dict[str, str]:
    """Open polling sessions until there are some of `number` workers; return one of each by its tag."""
    found: dict[str, str] = {}

    async def all_found() -> bool:
        sid = await opened(port)
        found[tag(sid)] = sid
        return len(found) == number

    await until(all_found, patience=START_PATIENCE)
    return found


class Visits:
    """What has become of the clients that came."""

    def __init__(self) -> None:
        self.served = 0
        self.refused = 0
        """Could not connect."""
        self.broken = 0
        """Were connected and got no answer, or another one than 200."""


@contextlib.asynccontextmanager
async def coming(port: int, *, transport: str) -> AsyncIterator[Visits]:
    """Let a client come every 5 ms, by `health`, `polling` or `websocket`; at the end all have been answered."""
    visits = Visits()
    tasks: set[asyncio.Task[None]] = set()

    async def visit() -> None:
        try:
            if transport == "websocket":
                async with WebSocketClient.open(port) as client:
                    await client.receive()
            else:
                async with Line.open(port) as line:
                    line.write(poll() if transport == "polling" else request_head("GET", "/health", [("Host", "h")]))
                    answer = await read_answer(line.reader)
                    visits.broken += answer.status != 200
            visits.served += 1
        except ConnectionRefusedError:
            visits.refused += 1
        except (ClosedError, OSError, TimeoutError):
            visits.broken += 1

    async def come() -> None:
        while True:
            task = asyncio.ensure_future(visit())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(_EVERY)

    crowd = asyncio.ensure_future(come())
    try:
        yield visits
    finally:
        crowd.cancel()
        if tasks:
            await asyncio.wait(tasks)


def number_in(text: str) -> int:
    """Return the first number of a text."""
    found = re.search(r"\d+", text)
    assert found is not None
    return int(found[0])
