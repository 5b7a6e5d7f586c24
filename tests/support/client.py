"""A minimal Socket.IO client: aiohttp's WebSocket, hand-written packets, all events recorded in order."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 30.0
"""Timeout in seconds for anything that must happen. It only limits the duration of a failure."""

STATISTICS = "realtime:stats"


class RefusedError(Exception):
    """CONNECT_ERROR."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.message: str = error["message"]
        self.data: dict[str, Any] = error.get("data", {})


class Client:
    """One connection. `next` is strict about the order, `until` skips other events."""

    def __init__(self, session: aiohttp.ClientSession, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._websocket = websocket
        self._events: deque[tuple[str, Any]] = deque()
        self._acks: dict[int, asyncio.Future[list[Any]]] = {}
        self._next_ack = 0
        self._news = asyncio.Event()
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.ensure_future(self._read())
        self.heard: list[tuple[str, Any]] = []
        """All events ever received, including statistics."""
        self.sid = ""
        """Of the Engine.IO session, once it is open."""
        self.answers: dict[int, list[Any]] = {}
        """Arguments of received acks, by ack id."""
        self.ended = asyncio.Event()
        self.disconnected = asyncio.Event()
        """Set when the server's DISCONNECT packet has arrived."""

    @classmethod
    async def open(cls, url: str, query: str = "", headers: dict[str, str] | None = None) -> Client:
        """Open an Engine.IO session, without a namespace yet."""
        session = aiohttp.ClientSession()
        try:
            websocket = await session.ws_connect(
                f"{url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket{query}",
                max_msg_size=0,
                headers=headers,
            )
        except BaseException:
            await session.close()
            raise
        return cls(session, websocket)

    @classmethod
    async def connect(
        cls,
        url: str,
        auth: object,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> Client:
        """Open a session and connect to `/`. Raises RefusedError."""
        client = await cls.open(url, query, headers)
        try:
            await client.join(auth)
        except BaseException:
            await client.close()
            raise
        return client

    async def join(self, auth: object) -> None:
        """Send CONNECT and wait for the answer."""
        await self.send("40" + ("" if auth is None else json.dumps(auth)))
        answer = await asyncio.wait_for(asyncio.shield(self._answer), PATIENCE)
        if answer.startswith("44"):
            self._answer = asyncio.get_running_loop().create_future()
            raise RefusedError(json.loads(answer[2:]))

    async def _read(self) -> None:
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            packet: str = message.data
            if packet == "2":
                await self._websocket.send_str("3")
            elif packet.startswith("42"):
                name, *arguments = json.loads(packet[2:])
                self._events.append((name, arguments[0] if arguments else None))
                self.heard.append(self._events[-1])
            elif packet.startswith("43"):
                number, _, arguments_text = packet[2:].partition("[")
                answer = json.loads("[" + arguments_text)
                self.answers[int(number)] = answer
                if int(number) in self._acks:
                    self._acks.pop(int(number)).set_result(answer)
            elif packet.startswith(("40", "44")):
                self._answer.set_result(packet)
            elif packet.startswith("0"):
                self.sid = json.loads(packet[1:])["sid"]
            elif packet.startswith("41"):
                self.disconnected.set()
            self._news.set()
        self.ended.set()
        self._news.set()

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    async def send(self, packet: str) -> None:
        """Send a raw packet."""
        await self._websocket.send_str(packet)

    async def emit(self, event: str, *arguments: object) -> None:
        """Send an event."""
        await self.send("42" + json.dumps([event, *arguments]))

    async def ask(self, event: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON
        """Send an event and return the first argument of its acknowledgement."""
        number, self._next_ack = self._next_ack, self._next_ack + 1
        answer = self._acks[number] = asyncio.get_running_loop().create_future()
        await self.send(f"42{number}{json.dumps([event, *arguments])}")
        return (await asyncio.wait_for(answer, PATIENCE))[0]

    async def say(self, text: str, client_id: str | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Send a text message and return the acknowledgement."""
        message = {"type": "text", "content": text}
        return await self.ask("chat:message", message if client_id is None else {**message, "clientId": client_id})

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    async def next(self, name: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the next event's payload; the event must be `name`. Statistics are skipped."""
        skip = {STATISTICS} - {name}
        while True:
            event, payload = await self._pop()
            if event not in skip:
                assert event == name, f"expected {name}, got {event}: {payload}"
                return payload

    async def until(self, name: str, **fields: object) -> Any:  # noqa: ANN401 - any JSON
        """Return the payload of the next `name` that has `fields`, skipping everything before it."""
        while True:
            event, payload = await self._pop()
            if event == name and all(payload.get(key) == value for key, value in fields.items()):
                return payload

    async def _pop(self) -> tuple[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not self._events:
                assert not self.ended.is_set(), "the connection has ended"
                self._news.clear()
                await self._news.wait()
        return self._events.popleft()

    # ── ending ────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        return not self.ended.is_set() and not self.disconnected.is_set()

    @property
    def close_code(self) -> int | None:
        return self._websocket.close_code

    async def gone(self) -> None:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()

    async def cut(self) -> None:
        """Abort the TCP connection, as a network failure would."""
        connection = self._websocket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._websocket.close()
        await self._session.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
