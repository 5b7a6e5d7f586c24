"""A raw picows relay: the minimum cost of a Python WebSocket server.

``python -m benchmarks.peers.picows_relay PORT MESSAGE DELIVERED SENT``

Frames of paired connections are not parsed. Each message becomes three frames in three writes, padded to the
given payload sizes in bytes, which the benchmark measures with Passerby.
"""

import asyncio
import sys
from dataclasses import dataclass, field

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

OPEN = b'0{"sid":"relay","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'
TEXT = WSMsgType.TEXT


@dataclass
class Shape:
    """The frames of one relayed message: constant frames, and the size of the padded one."""

    message_bytes: int
    delivered: bytes
    sent: bytes


@dataclass
class Lobby:
    """The last connection that has no partner yet."""

    shape: Shape
    waiting: list["Relay"] = field(default_factory=list)


class Relay(WSListener):
    """One connection."""

    def __init__(self, lobby: Lobby) -> None:
        self.lobby = lobby
        self.shape = lobby.shape
        self.transport: WSTransport | None = None
        self.partner: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open the Engine.IO session."""
        self.transport = transport
        transport.send(TEXT, OPEN)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Relay the frame unchanged, with a receipt for each side."""
        payload = frame.get_payload_as_bytes()
        partner = self.partner
        if partner is None:
            self._greet(transport, payload)
            return
        shape = self.shape
        partner.send(TEXT, payload.ljust(shape.message_bytes))
        partner.send(TEXT, shape.delivered)
        transport.send(TEXT, shape.sent)

    def _greet(self, transport: WSTransport, payload: bytes) -> None:
        """Answer the Socket.IO CONNECT, and pair with the waiting connection."""
        if not payload.startswith(b"40"):
            return
        transport.send(TEXT, b'40{"sid":"relay"}')
        if not self.lobby.waiting:
            self.lobby.waiting.append(self)
            return
        partner = self.lobby.waiting.pop()
        partner.partner, self.partner = transport, partner.transport
        for side in (partner.partner, self.partner):
            if side is not None:
                side.send(TEXT, b'42["paired"]')


def pad_event(name: bytes, size: int) -> bytes:
    """Return an event packet called ``name`` with ``size`` bytes of payload."""
    return (b'42["%s",{' % name).ljust(size - 2, b" ") + b"}]"


async def serve(port: int, shape: Shape) -> None:
    """Listen on the loopback ``port`` until the process is terminated."""
    lobby = Lobby(shape)

    def accept(_request: WSUpgradeRequest) -> WSListener:
        return Relay(lobby)

    server = await ws_create_server(accept, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Parse the command line and serve."""
    port, message, delivered, sent = (int(word) for word in sys.argv[1:5])
    shape = Shape(
        message_bytes=message,
        delivered=pad_event(b"chat:message:delivered", delivered),
        sent=pad_event(b"chat:message:sent", sent),
    )
    uvloop.install()
    asyncio.run(serve(port, shape))


if __name__ == "__main__":
    main()
