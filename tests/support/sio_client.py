"""Low-level clients: raw HTTP, raw WebSocket frames, and both transports behind one interface.

They do not use the server's code. Every wait has a timeout of BOUND seconds.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.sio_server import BOUND, PATH

Headers = Iterable[tuple[str, str]]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class ClosedError(Exception):
    """The server has closed the connection: with a close frame (`code`), or without one (None)."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


def request_head(method: str, target: str, headers: Headers = ()) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one HTTP response. Raises ClosedError when the server closes the connection instead."""
    async with asyncio.timeout(BOUND):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ClosedError(None) from None
    return Answer(int(status.split()[1]), headers, body)


async def http(port: int, method: str, target: str, body: bytes = b"", headers: Headers = ()) -> Answer:
    """Make one request on its own connection."""
    fields = [("Host", f"127.0.0.1:{port}"), ("Connection", "close"), *headers]
    if method == "POST":
        fields.append(("Content-Length", str(len(body))))
    async with Line.open(port) as line:
        line.write(request_head(method, target, fields) + body)
        return await read_answer(line.reader)


class Line:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Self]:
        """Connect. With a small `receive_buffer`, the server soon notices a client that does not read."""
        wire = socket.socket()
        wire.setblocking(False)
        if receive_buffer is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", port))
        except OSError:
            wire.close()
            raise
        reader, writer = await asyncio.open_connection(sock=wire, limit=receive_buffer or 1 << 16)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        async with asyncio.timeout(BOUND):
            await self._writer.drain()

    def end(self) -> None:
        """Send FIN."""
        self._writer.write_eof()

    async def read_all(self) -> bytes:
        """Read until the server closes or aborts the connection."""
        received = bytearray()
        async with asyncio.timeout(BOUND):
            with contextlib.suppress(ConnectionError):
                while part := await self.reader.read(1 << 16):
                    received += part
        return bytes(received)


# ── WebSocket ─────────────────────────────────────────────────────────────────────────────────────


def frame(opcode: int, payload: bytes | str = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return one frame as a client sends it."""
    data = payload.encode() if isinstance(payload, str) else payload
    return frame_head(opcode, len(data), fin=fin, rsv=rsv, masked=masked) + (mask(data) if masked else data)


_KEY = b"\x37\xfa\x21\x3d"  # the example of RFC 6455


def frame_head(opcode: int, size: int, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 1 << 16:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    return head + (_KEY if masked else b"")


def mask(data: bytes) -> bytes:
    size = len(data)
    key = (_KEY * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


@dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool


def upgrade_head(port: int, target: str, headers: Headers = ()) -> bytes:
    given = dict(headers)
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    return request_head("GET", target, {**fields, **given}.items())


class WebSocketClient:
    """A WebSocket whose frames the test creates and inspects. Messages are `str` or `bytes`."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        port: int,
        target: str = f"{PATH}?EIO=4&transport=websocket",
        *,
        headers: Headers = (),
        receive_buffer: int | None = None,
    ) -> AsyncIterator[Self]:
        """Do the handshake. Raises ClosedError with the HTTP status when refused."""
        async with Line.open(port, receive_buffer=receive_buffer) as line:
            line.write(upgrade_head(port, target, headers))
            answer = await read_answer(line.reader)
            if answer.status != 101:
                raise ClosedError(answer.status, answer.text)
            yield cls(line)

    def write(self, data: bytes) -> None:
        self.line.write(data)

    async def send(self, *messages: str | bytes) -> None:
        for message in messages:
            self.write(frame(TEXT if isinstance(message, str) else BINARY, message))
        await self.line.drain()

    async def read_frame(self) -> Frame:
        """Read one frame of any kind. Raises ClosedError at the end of the connection."""
        reader = self.line.reader
        async with asyncio.timeout(BOUND):
            try:
                first, size = await reader.readexactly(2)
                assert size < 128, "a server's frames are not masked"
                if size == 126:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                elif size == 127:
                    size = int.from_bytes(await reader.readexactly(8), "big")
                payload = await reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                raise ClosedError(None) from None
        assert not first & 0x70, "no extension was negotiated"
        return Frame(first & 0x0F, payload, bool(first & 0x80))

    async def receive(self) -> str | bytes:
        """Read one message. Raises ClosedError at a close frame."""
        while True:
            got = await self.read_frame()
            if got.opcode == TEXT:
                return got.payload.decode()
            if got.opcode == BINARY:
                return got.payload
            if got.opcode == CLOSE:
                code = int.from_bytes(got.payload[:2], "big") if got.payload else 1005
                raise ClosedError(code, got.payload[2:].decode())

    async def closed(self) -> ClosedError:
        """Read until the end; return how the connection was closed."""
        async with asyncio.timeout(BOUND):
            while True:
                try:
                    await self.receive()
                except ClosedError as end:
                    return end


# ── long polling ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class PollingClient:
    """A long-polling session that polls only when the test wants to receive."""

    port: int
    sid: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    _received: list[str | bytes] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, port: int, query: str = "", *, headers: Headers = ()) -> AsyncIterator[Self]:
        """Open a session; the first received packet is its open packet."""
        client = cls(port, headers=list(headers))
        opened = await client.get(query)
        client.sid = json.loads(opened.text.split("\x1e")[0][1:])["sid"]
        client._received = payload_packets(opened.text)
        yield client

    @property
    def target(self) -> str:
        return f"{PATH}?EIO=4&transport=polling" + (f"&sid={self.sid}" if self.sid else "")

    async def get(self, query: str = "") -> Answer:
        return await http(self.port, "GET", self.target + query, headers=self.headers)

    async def post(self, body: bytes | str) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        return await http(self.port, "POST", self.target, data, self.headers)

    async def send(self, *messages: str | bytes) -> None:
        """Post packets. If the server refuses one, the next response shows it."""
        body = "\x1e".join(
            message if isinstance(message, str) else "b" + base64.b64encode(message).decode() for message in messages
        )
        await self.post(body)

    async def receive(self) -> str | bytes:
        """Return the next packet. Raises ClosedError when the session has ended."""
        while not self._received:
            answer = await self.get()
            if answer.status != 200:
                raise ClosedError(None, answer.text)
            self._received += payload_packets(answer.text)
        packet = self._received.pop(0)
        if packet == "1":
            raise ClosedError(None)
        return packet

    async def closed(self) -> ClosedError:
        """Receive until the end; return how the session was closed."""
        async with asyncio.timeout(BOUND):
            while True:
                try:
                    await self.receive()
                except ClosedError as end:
                    return end


def payload_packets(body: str) -> list[str | bytes]:
    """Split the body of a poll response."""
    return [
        base64.b64decode(packet[1:], validate=True) if packet[:1] == "b" else packet for packet in body.split("\x1e")
    ]


# ── both transports ───────────────────────────────────────────────────────────────────────────────

Client = WebSocketClient | PollingClient


@contextlib.asynccontextmanager
async def opened(port: int, transport: str) -> AsyncIterator[Client]:
    """Open an Engine.IO session over `transport`, with its open packet received."""
    opening: contextlib.AbstractAsyncContextManager[Client] = (
        WebSocketClient.open(port) if transport == "websocket" else PollingClient.open(port)
    )
    async with opening as client:
        packet = await client.receive()
        assert isinstance(packet, str)
        assert packet.startswith("0{")
        yield client


@contextlib.asynccontextmanager
async def connected(port: int, transport: str = "websocket", namespace: str = "/") -> AsyncIterator[Client]:
    """Open a session and CONNECT to `namespace`, with the response received."""
    async with opened(port, transport) as client:
        prefix = "" if namespace == "/" else namespace + ","
        await client.send("40" + prefix)
        packet = await client.receive()
        assert isinstance(packet, str)
        assert packet.startswith("40" + prefix + '{"sid":')
        yield client
