"""Minimal Socket.IO clients, and functions that let them join."""

import asyncio
import functools
import itertools
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.servers import ADDRESS, MeasurementError, Server

TEXT = WSMsgType.TEXT
READ_BUFFER_BYTES = 4096
HANDS = 32
"""Maximum number of guests that join at the same time."""
ANSWER_SECONDS = 30.0
ADDRESSES = 200
"""Number of client addresses, from 127.0.0.2 on, because rate limits are per address."""

_visits = itertools.count()

G = TypeVar("G", bound="Guest")
T = TypeVar("T")


class UnexpectedAnswerError(MeasurementError):
    """The server refused or closed something that the benchmark needs."""


class Guest(WSListener):
    """One connection: does the handshake, answers pings, counts received bytes."""

    def __init__(self, token: str | None) -> None:
        """Connect with ``token`` to Passerby, or without one to a bare relay."""
        self.token = token
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[bytes] = loop.create_future()
        self.paired: asyncio.Future[bytes] = loop.create_future()
        self.bytes_received = 0
        self.leaving = False
        self.fault: str | None = None
        self._ready_when = b"40{" if token is None else b'42["connection:established"'
        self._transport: WSTransport | None = None

    @property
    def transport(self) -> WSTransport:
        """The open connection."""
        if self._transport is None:
            raise UnexpectedAnswerError("not connected")
        return self._transport

    def send(self, packet: bytes) -> None:
        """Send one Engine.IO packet."""
        self.transport.send(TEXT, packet)

    def leave(self) -> None:
        """Close the connection."""
        self.leaving = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_event(self, payload: bytes) -> None:
        """Handle an event packet (``42[...``); subclasses override it."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count the frame's size on the wire, then handle it."""
        size = frame.payload_size
        self.bytes_received += size + (2 if size < 126 else 4 if size < 65_536 else 10)
        self.on_packet(transport, frame.get_payload_as_bytes())

    def on_packet(self, transport: WSTransport, payload: bytes) -> None:
        """Handle one Engine.IO packet."""
        if payload == b"2":
            transport.send(TEXT, b"3")
        elif payload.startswith(b"0{"):
            auth = b"" if self.token is None else json.dumps({"token": self.token}).encode()
            transport.send(TEXT, b"40" + auth)
        elif payload.startswith((b'42["user:matched"', b'42["paired"')) and not self.paired.done():
            self.paired.set_result(payload)
        elif payload.startswith((b"1", b"41", b"44")) or b':error"' in payload[:40]:
            self.fail(payload.decode())
        if payload.startswith(self._ready_when) and not self.connected.done():
            self.connected.set_result(payload)
        if payload.startswith(b"42["):
            self.on_event(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Record an unexpected disconnect."""
        del transport
        if not self.leaving:
            self.fail("the server closed the connection")

    def fail(self, reason: str) -> None:
        """Record the first failure and end all waits."""
        self.fault = self.fault or reason
        for waiting in (self.connected, self.paired):
            if not waiting.done():
                waiting.set_exception(UnexpectedAnswerError(reason))
                waiting.exception()  # retrieved, so that asyncio does not log it


def check(guests: Iterable[Guest]) -> None:
    """Raise UnexpectedAnswerError if any guest was refused, disconnected or sent an error."""
    faults = [guest.fault for guest in guests if guest.fault is not None]
    if faults:
        raise UnexpectedAnswerError(f"{len(faults)} guests failed, the first: {faults[0][:300]}")


async def pass_turn(seconds: float, guests: Iterable[Guest], has_worked: Callable[[], bool]) -> None:
    """Let `seconds` pass, and as many again while the server has not worked yet, which a busy machine may hold up."""
    async with asyncio.timeout(ANSWER_SECONDS):
        await asyncio.sleep(seconds)
        while not has_worked():
            check(guests)
            await asyncio.sleep(seconds)


async def request(server: Server, address: str, method: str, path: str, token: str = "") -> dict[str, Any]:
    """Make one HTTP request over its own connection; return the response's ``data``."""
    body = b"{}" if method == "POST" else b""
    head = [f"{method} {path} HTTP/1.1", f"Host: {ADDRESS}:{server.port}", "Connection: close"]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    reader, writer = await asyncio.open_connection(ADDRESS, server.port, local_addr=(address, 0))
    try:
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        answer = await reader.read(-1)
    finally:
        writer.close()
    headers, _, content = answer.partition(b"\r\n\r\n")
    status = headers.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or not status[1].startswith(b"2"):
        raise UnexpectedAnswerError(f"{method} {path}: {answer[:400].decode(errors='replace')}")
    data: dict[str, Any] | None = json.loads(content).get("data") if content else None
    return data or {}


async def admit(server: Server, count: int) -> list[str]:
    """Create sessions, from different addresses; return their tokens."""

    async def one() -> str:
        return str((await request(server, next_address(), "POST", "/api/guest"))["token"])

    return await by_hands([one] * count)


def next_address() -> str:
    """Return the next of the loopback addresses."""
    return f"127.0.0.{2 + next(_visits) % ADDRESSES}"


async def join(server: Server, kind: Callable[[str | None], G]) -> G:
    """Let one guest join: POST and WebSocket, or only WebSocket for a relay."""
    address = next_address()
    token: str | None = None
    if server.name == "passerby":
        token = str((await request(server, address, "POST", "/api/guest"))["token"])
    guest = kind(token)
    await ws_connect(
        lambda: guest,
        f"ws://{ADDRESS}:{server.port}/socket.io/?EIO=4&transport=websocket",
        read_buffer_init_size=READ_BUFFER_BYTES,
        local_addr=(address, 0),
    )
    await asyncio.wait_for(guest.connected, ANSWER_SECONDS)
    return guest


async def join_many(server: Server, kind: Callable[[str | None], G], count: int, pace: float | None = None) -> list[G]:
    """Let ``count`` guests join: HANDS at a time as fast as possible, or ``pace`` a second."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def arrive(number: int) -> G:
        if pace is not None:
            await asyncio.sleep(began + number / pace - loop.time())
        return await join(server, kind)

    return await by_hands([functools.partial(arrive, number) for number in range(count)])


async def end_sessions(server: Server, guests: Iterable[Guest]) -> None:
    """End guests' sessions at once, without a grace window."""

    async def depart(guest: Guest) -> None:
        guest.leaving = True
        await request(server, next_address(), "DELETE", "/api/guest/me", guest.token or "")
        guest.leave()

    await by_hands([functools.partial(depart, guest) for guest in guests])


async def by_hands(jobs: list[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """Do all jobs, HANDS at a time."""
    queue = iter(jobs)
    results: list[T] = []

    async def hand() -> None:
        for job in queue:
            results.append(await job())  # noqa: PERF401   (all workers share one list)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(hand())
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    return results
