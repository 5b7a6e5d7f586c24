"""Two guests in a room with files: uploads over httpx and over raw sockets, and small files of every type."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from passerby.clock import SystemClock
from tests.support.client import PATIENCE, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpx

    from tests.support.server import Account, RunningServer

BOUNDARY = "----the-boundary"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: bytes) -> bytes:
    """Return a PNG of 3 by 2 pixels, with `more` chunks before its data."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0))
    return head + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(20))) + chunk(b"IEND", b"")


PNG = png()
TEXT = "Häuser, дома, 家\n".encode()


def wav(seconds: float) -> bytes:
    """Return a WAV of this duration: 1,000 bytes a second."""
    size = int(seconds * 1000)
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1000, 1000, 1, 8) + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + size) + head + b"\x80" * size


def noise(size: int, seed: int = 1) -> bytes:
    """Return bytes of no known file type, different for each `seed`."""
    line = bytes((0, 255, 254)) + f"{seed:13}".encode()
    return (line * (size // len(line) + 1))[:size]


def part(name: str, value: bytes, filename: str | None = None, content_type: str | None = None) -> bytes:
    """Return a part of a form, preceded by the boundary."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a complete form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM_TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


class JumpingClock(SystemClock):
    """The system's clock, which a test can move: with `ahead`, which no timer notices, or with `jump`."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.time = lambda: SystemClock.time() + self.ahead
        self.monotonic = lambda: SystemClock.monotonic() + self.ahead
        self._timers: list[tuple[float, asyncio.TimerHandle, Callable[[], object]]] = []

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        handle = asyncio.get_running_loop().call_later(delay, callback)
        self._timers.append((self.monotonic() + delay, handle, callback))
        return handle

    def jump(self, seconds: float) -> None:
        """Advance the time, and run the timers that are then due, in order."""
        before = asyncio.get_running_loop().time()
        self.ahead += seconds
        timers, self._timers = sorted(self._timers, key=itemgetter(0)), []
        for due, handle, callback in timers:
            if handle.cancelled() or handle.when() <= before:
                continue
            if due > self.monotonic():
                self._timers.append((due, handle, callback))
            else:
                handle.cancel()
                callback()


class Two:
    """Anna and Berta in a room. Uploads are Anna's unless `by` names another guest."""

    def __init__(
        self, server: RunningServer, anna: tuple[Account, Client], berta: tuple[Account, Client], room: dict[str, Any]
    ) -> None:
        self.server = server
        self.http = server.http
        self.anna, self.one = anna
        self.berta, self.other = berta
        self.room = room
        self.room_id: str = room["roomId"]

    @classmethod
    async def meet(cls, server: RunningServer) -> Two:
        """Create two guests and match them."""
        return cls(server, *await server.pair())

    async def put(
        self,
        body: bytes,
        name: str | None = None,
        *,
        claimed: str | None = None,
        duration: str | None = None,
        by: Account | None = None,
        room: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Upload a raw body."""
        given = {"X-File-Name": None if name is None else quote(name), "Content-Type": claimed, "X-Duration": duration}
        return await self.http.put(
            f"/api/files/{self.room_id if room is None else room}",
            content=body,
            headers={
                **(by or self.anna).headers,
                **{header: value for header, value in given.items() if value is not None},
                **(headers or {}),
            },
        )

    async def upload(self, body: bytes, name: str = "a.bin", **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as `put`
        """Upload a raw body that must be accepted; return the response's data."""
        answer = await self.put(body, name, **options)
        assert answer.status_code == 201, answer.text
        info: dict[str, Any] = answer.json()["data"]
        return info

    async def post(self, body: bytes, *, voice: bool = False, headers: dict[str, str] | None = None) -> httpx.Response:
        """Upload a form."""
        return await self.http.post(
            "/api/files/voice" if voice else "/api/files/upload",
            content=body,
            headers={**self.anna.headers, **FORM_TYPE, **(headers or {})},
        )

    async def read(self, info: dict[str, Any]) -> bytes:
        """Download a file by its link."""
        answer = await self.http.get(info["fileUrl"])
        assert answer.status_code == 200, answer.text
        return answer.content

    async def tell(self, content: object, *, kind: str = "file", client_id: str | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Send a message about a file as Anna; return the acknowledgement."""
        message = {"type": kind, "content": content}
        return await self.one.ask("chat:message", message if client_id is None else {**message, "clientId": client_id})

    async def part_ways(self) -> None:
        """End the room."""
        await self.one.emit("leave-room")
        await self.one.until("chat:clear:confirmed")


class Answer:
    """An HTTP response read from a raw socket."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.body = body

    def all(self, name: str) -> list[str]:
        """Return all headers with this name."""
        return [value for header, value in self.headers if header == name]

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


class Wire:
    """A raw TCP connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, server: RunningServer, limit: int = 1 << 16) -> Wire:
        """Connect; buffer at most `limit` received bytes."""
        address = urlsplit(server.url)
        return cls(*await asyncio.open_connection(address.hostname, address.port, limit=limit))

    async def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a request line with headers, and the start of a body."""
        await self.push("\r\n".join((*lines, "Host: passerby", "", "")).encode("latin-1") + body)

    async def push(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def trickle(self, pieces: Iterable[bytes]) -> Answer:
        """Send pieces until the server responds; return the response."""
        answer = asyncio.ensure_future(self.answer())
        try:
            for piece in pieces:
                if answer.done():
                    break
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.wait((answer,), timeout=0.001)
        except ConnectionError:
            pass  # the response arrived before all pieces were sent
        return await answer

    async def answer(self) -> Answer:
        """Read a response that has a length or ends with the connection."""
        async with asyncio.timeout(2 * PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            answer = Answer(head.removesuffix(b"\r\n\r\n"), b"")
            lengths = answer.all("content-length")
            answer.body = await (self.reader.readexactly(int(lengths[0])) if lengths else self.reader.read())
        return answer

    async def abort(self) -> None:
        """Abort the connection."""
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)
