"""A Socket.IO or Engine.IO server on a free port, in the test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvicorn

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.http.guard import Guard, http_factory
from passerby.socketio import Ack, Arguments, Engine, Options, Server, Socket
from passerby.socketio.origins import Origins
from passerby.socketio.polling import Polling
from passerby.socketio.session import Receiver, Session
from passerby.socketio.websocket import WebSocketProtocol, protocol_factory

if TYPE_CHECKING:
    from passerby.socketio.closing import Closing

PATH = "/socket.io/"
BOUND = 30.0
"""Timeout in seconds for anything that a test waits for. It only limits the duration of a failure."""


async def until(condition: Callable[[], object]) -> None:
    """Run the event loop until `condition()` is true, for state changes without an event."""
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110 - the server's state has no event to wait for
            await asyncio.sleep(0.001)


class _Errors(logging.Handler):
    """Records logged errors: clients must not cause any."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@dataclass
class Running:
    """A running server. `errors` contains its logged errors; a test that expects some removes them."""

    port: int
    engine: Engine
    uvicorn: uvicorn.Server
    errors: list[str] = field(default_factory=list)

    def take_errors(self) -> list[str]:
        taken, self.errors[:] = list(self.errors), []
        return taken


def socketio_server(options: Options | None = None, **rules: Any) -> Server:  # noqa: ANN401 - arguments of Server
    """Return a Socket.IO server without handlers."""
    return Server(options or Options(), spawn=Background(SystemClock()).start, **rules)


def web_server(engine: Engine, guard: Guard | None = None) -> uvicorn.Server:
    """Return a uvicorn server for `engine`, configured as in the product."""
    config = uvicorn.Config(
        Polling(engine),
        host="127.0.0.1",
        http=http_factory(guard),
        ws=protocol_factory(engine),  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    return uvicorn.Server(config)


@contextlib.asynccontextmanager
async def running(subject: Server | Engine, guard: Guard | None = None) -> AsyncIterator[Running]:
    """Serve `subject`, then stop it; fail if it has logged an error that the test did not remove."""
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    subject.start()
    engine = subject.engine if isinstance(subject, Server) else subject
    web = web_server(engine, guard)
    listener = socket.create_server(("127.0.0.1", 0))
    web.config.load()
    web.lifespan = web.config.lifespan_class(web.config)
    await web.startup(sockets=[listener])
    try:
        yield Running(listener.getsockname()[1], engine, web, errors.lines)
    finally:
        await _stop(subject, web)
        logging.getLogger().removeHandler(errors)
    assert not engine.sessions
    assert not errors.lines, "\n".join(errors.lines)


async def _stop(subject: Server | Engine, web: uvicorn.Server) -> None:
    # What uvicorn does, without its pauses and without waiting for clients.
    for server in web.servers:
        server.close()
    if isinstance(subject, Server):
        await asyncio.wait_for(subject.stop(), BOUND)  # a failed test may have left a handler waiting
    else:
        subject.stop()
    state = web.server_state
    async with asyncio.timeout(BOUND):
        while state.connections or state.tasks:
            for connection in list(state.connections):
                if isinstance(connection, WebSocketProtocol):
                    connection.transport.underlying_transport.abort()
                elif connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0.001)


class EngineEcho:
    """Echoes every Engine.IO message, and records why the session ended."""

    def __init__(self, session: Session, ends: asyncio.Queue[str]) -> None:
        self._session = session
        self._ends = ends

    def on_text(self, packet: str) -> None:
        self._session.send(packet.encode())

    def on_binary(self, data: bytes) -> None:
        self._session.send_binary(data)

    def on_close(self, reason: Closing) -> None:
        self._ends.put_nowait(reason.code)


def engine_echo(options: Options, origins: Origins | None = None) -> tuple[Engine, asyncio.Queue[str]]:
    """Return an engine that echoes, and the queue of close reasons of its sessions."""
    ends: asyncio.Queue[str] = asyncio.Queue()

    def accept(session: Session) -> Receiver:
        return EngineEcho(session, ends)

    return Engine(options, accept, origins=origins), ends


def echo(options: Options | None = None, namespaces: tuple[str, ...] = ("/", "/custom")) -> Server:
    """Return a server that emits `auth`, answers `message` with `message-back`, and acknowledges `message-with-ack`."""
    server = socketio_server(options)

    def connected(socket: Socket) -> None:
        socket.emit("auth", socket.auth)

    def message(socket: Socket, arguments: list[object], _ack: Ack | None) -> None:
        socket.emit("message-back", *arguments)

    def message_with_ack(_socket: Socket, arguments: list[object], ack: Ack | None) -> None:
        if ack is not None:
            ack(*arguments)

    for name in namespaces:
        namespace = server.namespace(name)
        namespace.on_connect = connected
        namespace.on("message", Arguments, message)
        namespace.on("message-with-ack", Arguments, message_with_ack)
    return server
