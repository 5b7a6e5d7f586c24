"""A Socket.IO 5 / Engine.IO 4 server: WebSocket and long polling on one port with an ASGI app.

It contains no chat logic. `engineio` and `packets` are pure codecs. `session` and `engine` implement Engine.IO,
`websocket` and `polling` its transports. `server`, `namespace`, `socket` and `client` implement Socket.IO,
`closing` lists the close reasons. Names follow the two protocols.
"""

from passerby.socketio.client import Client
from passerby.socketio.closing import CLOSINGS, Closing
from passerby.socketio.engine import Engine, Options
from passerby.socketio.engineio import ProtocolError
from passerby.socketio.frames import CloseCode
from passerby.socketio.handshake import Refusal, Request
from passerby.socketio.namespace import Ack, Arguments, ConnectError, HandOver, Namespace
from passerby.socketio.packets import InvalidPayloadError, event_prefix
from passerby.socketio.server import Server
from passerby.socketio.socket import Socket

__all__ = [
    "CLOSINGS",
    "Ack",
    "Arguments",
    "Client",
    "CloseCode",
    "Closing",
    "ConnectError",
    "Engine",
    "HandOver",
    "InvalidPayloadError",
    "Namespace",
    "Options",
    "ProtocolError",
    "Refusal",
    "Request",
    "Server",
    "Socket",
    "event_prefix",
]
