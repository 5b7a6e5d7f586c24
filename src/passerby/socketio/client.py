"""The Socket.IO side of one Engine.IO session: passes packets to the sockets of its namespaces."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from passerby.socketio import closing, packets
from passerby.socketio.engineio import ProtocolError
from passerby.socketio.namespace import ConnectError, HandOver, tell
from passerby.socketio.packets import InvalidPayloadError, Packet, PacketType
from passerby.socketio.session import State
from passerby.socketio.socket import NO_AUTH, Socket

if TYPE_CHECKING:
    from passerby.socketio.closing import Closing
    from passerby.socketio.server import Server
    from passerby.socketio.session import ClientSession

log = logging.getLogger(__name__)


class Client:
    """The Socket.IO side of one Engine.IO session: its sockets, and an incomplete binary packet."""

    __slots__ = ("_attachments", "_held", "_left", "_partial", "_root", "server", "session", "sockets")

    def __init__(self, server: Server, session: ClientSession) -> None:
        """No socket exists until the first CONNECT."""
        self.server = server
        self.session = session
        self.sockets: dict[str, Socket] = {}
        self._root: Socket | None = None
        """The connected socket of namespace /, if any."""
        self._partial: Packet | None = None
        self._attachments: list[bytes] = []
        self._held = 0
        """Bytes of `_partial` and `_attachments`."""
        self._left: tuple[str, ...] = ()

    # ── from the session ──────────────────────────────────────────────────────────────────────────

    def on_text(self, packet: str) -> None:
        """Handle a text packet; it starts with Engine.IO's type `4`. Raises ProtocolError."""
        if self._partial is not None:
            raise ProtocolError("text where an attachment is due")
        if packet[:3] == "42[":  # the hot path: an event of namespace / without ack
            socket = self._root
            if socket is not None:
                data = packet[2:]
                try:
                    event = socket.namespace.decode(data)
                except (msgspec.DecodeError, RecursionError, UnicodeError):
                    self._event(socket, data, None, [])
                else:
                    socket.dispatch(event.handler, event.argument, None)
                return
        decoded = packets.decode(packet[1:])
        if decoded.attachments:
            self._partial = decoded
            self._hold(len(packet))
        else:
            self._take(decoded, [])

    def on_binary(self, data: bytes) -> None:
        """Handle an attachment. Raises ProtocolError."""
        packet = self._partial
        if packet is None:
            raise ProtocolError("attachment without packet")
        self._hold(self._held + len(data))
        self._attachments.append(data)
        if len(self._attachments) == packet.attachments:
            attachments, self._attachments, self._partial = self._attachments, [], None
            self._hold(0)
            self._take(packet, attachments)

    def _hold(self, size: int) -> None:
        """An incomplete packet has `size` bytes now. It may have as many as a message."""
        self._held = size
        self.session.hold(size)
        if size > self.server.engine.options.max_payload:
            self._attachments.clear()
            self.session.close(closing.MESSAGE_TOO_BIG)

    def on_close(self, reason: Closing) -> None:
        """Called when the session has closed."""
        self.server.unconnected.discard(self)
        for socket in list(self.sockets.values()):
            self.drop(socket, reason)

    # ── packets ───────────────────────────────────────────────────────────────────────────────────

    def _take(self, packet: Packet, attachments: list[bytes]) -> None:
        if packet.type is PacketType.CONNECT:
            self._connect(packet)
            return
        socket = self.sockets.get(packet.namespace)
        if socket is None or not socket.connected:
            self._not_connected(packet.namespace)
        elif packet.type in (PacketType.EVENT, PacketType.BINARY_EVENT):
            self._event(socket, packet.data, packet.id, attachments)
        elif packet.type is PacketType.DISCONNECT:
            self.drop(socket, closing.CLIENT_DISCONNECT)
        elif packet.id is not None:
            socket.resolve(packet.id, packet.data, attachments)

    def _not_connected(self, namespace: str) -> None:
        """Raise ProtocolError for a packet without CONNECT, unless the socket has just been disconnected."""
        if namespace not in self._left:
            raise ProtocolError("packet before CONNECT")

    def _event(self, socket: Socket, data: str, ack_id: int | None, attachments: list[bytes]) -> None:
        namespace = socket.namespace
        ack = None if ack_id is None else socket.acknowledger(ack_id)
        try:
            event = packets.decode_event(data)
        except InvalidPayloadError as error:
            if error.event in namespace.handlers:
                tell(namespace.on_error, socket, error.event, error, ack)
            else:
                tell(namespace.on_unknown, socket, error.event or "", ack)
            return
        handler = namespace.handlers.get(event.name)
        if handler is None:
            tell(namespace.on_unknown, socket, event.name, ack)
            return
        try:
            payload = handler.payload(event, data, attachments)
        except (msgspec.DecodeError, InvalidPayloadError, RecursionError, UnicodeError) as error:
            tell(namespace.on_error, socket, event.name, error, ack)
            return
        socket.dispatch(handler, payload, ack)

    # ── connecting ────────────────────────────────────────────────────────────────────────────────

    def _connect(self, packet: Packet) -> None:
        namespace = self.server.namespaces.get(packet.namespace)
        if namespace is None:
            # Without data: the protocol's official cases compare the whole packet.
            self.session.send(packets.encode_connect_error(packet.namespace, "Invalid namespace"))
            return
        if packet.namespace in self.sockets:
            raise ProtocolError("second CONNECT to a namespace")
        auth = packets.check_json(packet.data) if packet.data else NO_AUTH
        socket = self.sockets[namespace.name] = Socket(self, namespace, auth)
        if namespace.middlewares:
            self.server.spawn("admission of a socket", self._admit(socket))
        else:
            self._accept(socket)

    async def _admit(self, socket: Socket) -> None:
        namespace = socket.namespace
        try:
            for middleware in namespace.middlewares:
                answer = middleware(socket)
                if answer is not None:
                    await answer
        except ConnectError as error:
            self._refuse(socket, error.message, error.data)
        except HandOver as handing_over:
            if self.sockets.get(namespace.name) is socket:
                handing_over.take(self, packets.encode_client_connect(namespace.name, socket.auth))
        except Exception:
            log.exception("middleware failed")
            self._refuse(socket, "Internal server error", {"code": "internal"})
        else:
            if self.sockets.get(namespace.name) is socket:
                self._accept(socket)

    def _accept(self, socket: Socket) -> None:
        namespace = socket.namespace
        socket.connected = True
        if namespace.name == "/":
            self._root = socket
        self.server.unconnected.discard(self)
        self._left = tuple(name for name in self._left if name != namespace.name)
        namespace.sockets[socket.id] = socket
        socket.hold()
        self.session.send(packets.encode_connect(namespace.name, socket.id))
        try:
            if socket.connected:  # the session may have closed at this packet: its outbox was full
                namespace.on_connect(socket)
        except Exception:
            log.exception("connect handler failed")
            socket.disconnect(closing.SERVER_ERROR)
        socket.auth = NO_AUTH
        socket.release()

    def _refuse(self, socket: Socket, message: str, data: object) -> None:
        if self.sockets.get(socket.namespace.name) is socket:
            del self.sockets[socket.namespace.name]
            self.session.send(packets.encode_connect_error(socket.namespace.name, message, data))

    # ── moving ────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_idle(self) -> bool:
        """Return whether nothing that came is unfinished: no handler, no admission, no packet with attachments."""
        return self._partial is None and all(socket.is_idle for socket in self.sockets.values())

    def abandon(self) -> None:
        """The session gets another receiver: the sockets are gone, and nobody is told."""
        self.server.unconnected.discard(self)
        sockets, self.sockets, self._root = self.sockets, {}, None
        for socket in sockets.values():
            socket.connected = False
            socket.namespace.sockets.pop(socket.id, None)
            socket.give_up_acks()

    def restore(self, name: str, socket_id: str) -> Socket:
        """Return a connected socket in the namespace `name`: that of a client that was abandoned elsewhere."""
        namespace = self.server.namespaces[name]
        socket = self.sockets[name] = namespace.sockets[socket_id] = Socket(self, namespace, NO_AUTH)
        socket.id, socket.connected = socket_id, True
        if name == "/":
            self._root = socket
        self.server.unconnected.discard(self)
        return socket

    def _wait_for_connect(self) -> None:
        if not self.sockets and self.session.state is not State.CLOSED:
            self.server.unconnected.add(self)

    def drop(self, socket: Socket, reason: Closing) -> None:
        """Remove a socket and call the disconnect hook."""
        namespace = socket.namespace
        self.sockets.pop(namespace.name, None)
        if not socket.connected:
            return
        socket.connected = False
        if socket is self._root:
            self._root = None
        self._left = (*self._left, namespace.name)
        namespace.sockets.pop(socket.id, None)
        socket.give_up_acks()
        self._wait_for_connect()
        tell(namespace.on_disconnect, socket, reason.code)
