"""A scenario that third-party clients must pass, and what they must receive."""

from __future__ import annotations

import asyncio

import pytest

from passerby.socketio import Ack, Arguments, ConnectError, Options, Server, Socket
from passerby.socketio.websocket import WebSocketProtocol
from tests.support.sio_server import BOUND, Running, echo

TRANSPORTS = pytest.mark.parametrize("transports", ["websocket", "polling", "polling,websocket"])

SEEN = {
    "auth": {"token": "abc"},
    "custom auth": {"token": "of /custom"},
    "message-back": [1, "2", {"3": [True]}, "é😀\x1e", None],
    "binary message-back": ["00ff", {"deep": ["", "ab" * 300]}],
    "large message-back": 200_000,
    "custom message-back": ["to /custom"],
    "ack": [1, {"2": [False]}],
    "binary ack": ["01", "last"],
    "question": ["how much?", "02"],
    "answered": [42, "03"],
    "refused": {"message": "not today", "data": {"code": 7}},
    "unknown namespace": "Invalid namespace",
    "reconnected": True,
    "after reconnecting": ["back again"],
}
"""Bytes as hexadecimal digits."""


def transport_in_the_end(transports: str) -> str:
    return transports.rpartition(",")[2]


def reason_of_cut_line(transports: str) -> str:
    """Return the expected close reason after the connection was aborted: of an interrupted poll, or of a WebSocket."""
    return "transport_error" if transports == "polling" else "transport_close"


_ANSWERED = 0.02
"""Seconds until the connections are aborted: the POST that requests it must be answered before."""


class Scenario:
    """The server's side. `left` contains close reasons of sockets of `/`, `transports` their final transports."""

    running: Running

    def __init__(self) -> None:
        self.subject: Server = echo(Options(outbox_limit=1 << 20))
        self.left: asyncio.Queue[str] = asyncio.Queue()
        self.transports: list[str] = []
        namespace = self.subject.namespace("/")
        namespace.on_disconnect = lambda _socket, reason: self.left.put_nowait(reason)
        namespace.on("ask", Arguments, self._ask)
        namespace.on("drop", Arguments, self._drop)
        namespace.on("transport", Arguments, self._note_transport)
        self.subject.namespace("/refusing").use(self._refuse)

    @staticmethod
    async def _ask(socket: Socket, arguments: list[object], _ack: Ack | None) -> None:
        answer = await socket.call("question", *arguments, timeout=BOUND)
        socket.emit("answered", *answer)

    def _drop(self, _socket: Socket, _arguments: list[object], _ack: Ack | None) -> None:
        asyncio.get_running_loop().call_later(_ANSWERED, self._cut_lines)

    def _cut_lines(self) -> None:
        for connection in list(self.running.uvicorn.server_state.connections):
            if isinstance(connection, WebSocketProtocol):
                connection.transport.underlying_transport.abort()
            else:
                connection.transport.abort()

    def _note_transport(self, socket: Socket, _arguments: list[object], ack: Ack | None) -> None:
        self.transports.append(socket.transport)
        assert ack is not None
        ack(socket.transport)

    @staticmethod
    def _refuse(_socket: Socket) -> None:
        raise ConnectError("not today", {"code": 7})
