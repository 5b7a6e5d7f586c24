"""Where a worker sends connections, and what it hears of the others."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from passerby.http.handover import Outcome
from passerby.settings import Settings
from passerby.workers.crew import Crew
from passerby.workers.messages import Begin, Draining, Gone, Lines, Message, Ready, Roster, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ROSTER = Roster({"me": "node_me", "aa": "node_a", "bb": "node_b"})


class Parent:
    """The parent's end of the line to a crew."""

    def __init__(self, folder: Path) -> None:
        own, other = socket.socketpair()
        self.line = own
        self.crew = Crew(other, Begin(1, "me", str(folder), [], Settings(), "info", "json"), Lines())
        self._lines = Lines()

    async def say(self, *messages: Message) -> None:
        loop = asyncio.get_running_loop()
        self.line.setblocking(False)
        await loop.sock_sendall(self.line, b"".join(map(encode, messages)))

    async def hear(self, kind: type[Message]) -> Message:
        self.line.setblocking(False)
        async with asyncio.timeout(10):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.line, 1 << 16)
                for message in self._lines.feed(data):
                    if isinstance(message, kind):
                        return message


@pytest.fixture
async def parent(tmp_path: Path) -> AsyncIterator[Parent]:
    parent = Parent(tmp_path)
    yield parent
    await parent.crew.close()
    parent.line.close()


async def begun(parent: Parent) -> Crew:
    """Let the crew know the others."""
    heard = asyncio.Event()
    parent.crew.on_gone(lambda _: heard.set())
    await parent.crew.begin()
    await parent.say(ROSTER, Gone("zz", "node_z"))
    await heard.wait()
    return parent.crew


def line(query: str, path: str = "/socket.io/") -> bytes:
    return f"GET {path}?EIO=4&transport=polling{query} HTTP/1.1\r".encode()


@pytest.mark.parametrize(
    ("first_line", "worker"),
    [
        (line(""), None),
        (line("&sid=meXXXX"), None),
        (line("&sid=aaXXXX"), "aa"),
        (line("&sid=aaXXXX", "/socket.io"), "aa"),
        (line("&sid=aaXXXX", "http://chat.example/socket.io/"), "aa"),
        (b"POST /socket.io/?sid=bbXXXX&EIO=4 HTTP/1.1\r", "bb"),
        (line("&sid=aaX&sid=bbX"), "bb"),
        (line("&sid=zzXXXX"), "zz"),
        (line("&sid=a"), None),
        (line("&sid="), None),
        (line("&sid=../x"), None),
        (line("&sid=me1&at=aa"), None),
        (line("&at=aa"), "aa"),
        (line("&at=node_b"), "bb"),
        (line("&at=me"), None),
        (line("&at=zz"), None),
        (line("&resid=aaXXXX"), None),
        (line("&sid=aaXXXX", "/api/socket.io/x"), None),
        (b"GET /health?sid=aaXXXX HTTP/1.1\r", None),
        (b"GET /api/guest?at=aa HTTP/1.1\r", None),
        (b"", None),
        (b"\x16\x03\x01", None),
    ],
)
async def test_a_request_belongs_to_the_worker_of_its_session(
    parent: Parent, first_line: bytes, worker: str | None
) -> None:
    crew = await begun(parent)

    assert crew.target(first_line) == worker


async def test_a_worker_that_drains_keeps_only_its_sessions(parent: Parent) -> None:
    crew = await begun(parent)
    assert crew.elsewhere() is None
    crew.drain()
    await parent.hear(Draining)

    assert crew.target(line("&sid=meXXXX")) is None
    assert crew.target(line("&at=aa")) == "aa"
    for request in (line(""), line("&at=me"), line("&at=zz"), b"GET /health HTTP/1.1\r"):
        assert crew.target(request) in ("aa", "bb")


async def test_the_last_worker_serves_although_it_drains(parent: Parent) -> None:
    crew = await begun(parent)
    heard = asyncio.Event()
    crew.on_gone(lambda _: heard.set())
    await parent.say(Roster({}), Gone("aa", "node_a"))
    await heard.wait()
    crew.drain()

    assert crew.target(line("")) is None


async def test_who_asks_is_told_of_each_worker_that_has_ended(parent: Parent) -> None:
    gone: list[str] = []
    last = asyncio.Event()

    def fails(_node: str) -> None:
        raise ValueError

    parent.crew.on_gone(fails)
    parent.crew.on_gone(gone.append)
    parent.crew.on_gone(lambda node: last.set() if node == "node_b" else None)
    await parent.crew.begin()
    await parent.say(Gone("aa", "node_a"), Gone("bb", "node_b"))
    await last.wait()

    assert gone == ["node_a", "node_b"]


async def test_a_connection_is_passed_on_with_what_was_read(parent: Parent, tmp_path: Path) -> None:
    taken: asyncio.Future[tuple[socket.socket, bytes]] = asyncio.get_running_loop().create_future()

    async def adopt(connection: socket.socket, data: bytes) -> None:
        taken.set_result((connection, data))

    crew = await begun(parent)
    await crew.serve("node_me", adopt)
    await parent.hear(Ready)
    client, server = socket.socketpair()
    with client, server:
        assert crew.pass_on("me", server.fileno(), b"GET ") is Outcome.PASSED
        assert crew.pass_on("zz", server.fileno(), b"GET ") is Outcome.GONE
        connection, data = await asyncio.wait_for(taken, 10)
        with connection:
            client.sendall(b"more")
            assert (data, connection.recv(9)) == (b"GET ", b"more")


async def test_an_inbox_that_nobody_reads_is_full_at_some_time(parent: Parent, tmp_path: Path) -> None:
    crew = await begun(parent)
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client, server = socket.socketpair()
    with inbox, client, server:
        inbox.bind(str(tmp_path / "aa"))
        outcomes = [crew.pass_on("aa", server.fileno(), bytes(40_000)) for _ in range(100)]

    assert outcomes[0] is Outcome.PASSED
    assert outcomes[-1] is Outcome.FULL
