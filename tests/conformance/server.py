"""The server that the public protocol suites expect, built with `passerby.socketio` only.

python -m tests.conformance.server --mode socketio|engineio --port 3000
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

import msgspec
import uvicorn
import uvloop

from passerby.http.guard import http_factory
from passerby.socketio import Ack, Arguments, Engine, Options, Socket
from passerby.socketio.polling import Polling
from passerby.socketio.session import Receiver, Session
from passerby.socketio.websocket import protocol_factory
from tests.support.sio_server import socketio_server

if TYPE_CHECKING:
    from passerby.socketio.closing import Closing


def options(path: str) -> Options:
    """Return the options that the suites expect."""
    return Options(path=path, ping_interval=0.3, ping_timeout=0.2, connect_timeout=1, max_payload=1_000_000)


class Echo:
    """Echoes every message."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_text(self, packet: str) -> None:
        self._session.send(packet.encode())

    def on_binary(self, data: bytes) -> None:
        self._session.send_binary(data)

    def on_close(self, reason: Closing) -> None:
        pass


def engineio() -> Engine:
    """Return an Engine.IO server that echoes."""

    def accept(session: Session) -> Receiver:
        return Echo(session)

    engine = Engine(options("/engine.io/"), accept)
    engine.start()
    return engine


def socketio() -> Engine:
    """Return the engine of a Socket.IO server with the namespaces / and /custom."""
    server = socketio_server(options("/socket.io/"))

    def connected(socket: Socket) -> None:
        socket.emit("auth", msgspec.json.decode(socket.auth))

    def message(socket: Socket, arguments: list[object], _ack: Ack | None) -> None:
        socket.emit("message-back", *arguments)

    def message_with_ack(_socket: Socket, arguments: list[object], ack: Ack | None) -> None:
        if ack is not None:
            ack(*arguments)

    for name in ("/", "/custom"):
        namespace = server.namespace(name)
        namespace.on_connect = connected
        namespace.on("message", Arguments, message)
        namespace.on("message-with-ack", Arguments, message_with_ack)
    server.start()
    return server.engine


async def serve(mode: str, port: int) -> None:
    """Serve until interrupted."""
    engine = socketio() if mode == "socketio" else engineio()
    config = uvicorn.Config(
        Polling(engine),
        host="127.0.0.1",
        port=port,
        http=http_factory(),
        ws=protocol_factory(engine),  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        log_level="warning",
    )
    await uvicorn.Server(config).serve()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.server", description=__doc__)
    parser.add_argument("--mode", choices=("socketio", "engineio"), default="socketio")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="uvloop")
    arguments = parser.parse_args()
    runner = {"asyncio": asyncio.run, "uvloop": uvloop.run}[arguments.loop]
    runner(serve(arguments.mode, arguments.port))


if __name__ == "__main__":
    main()
