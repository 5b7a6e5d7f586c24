"""The Socket.IO server: namespaces, sockets, events, acks.

A handler is registered with the type of its event's argument and gets it decoded. Plain handlers run
at once, inside the read of the packet: no task, no queue. A handler that returns an awaitable gets a
task, and the socket's later events wait for it, so that events of one socket never overtake each other.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NewType, TypeVar

import msgspec

from passerby.socketio import packets
from passerby.socketio.engine import Engine, Options
from passerby.socketio.engineio import ProtocolError
from passerby.socketio.frames import CloseCode
from passerby.socketio.packets import InvalidPayloadError, Packet, PacketType
from passerby.socketio.session import Session, State
from passerby.socketio.timers import DelayQueue

if TYPE_CHECKING:
    from passerby.socketio.handshake import Refusal, Request
    from passerby.socketio.origins import Origins

T = TypeVar("T")
Ack = Callable[..., None]
"""Answers an event that asked for an acknowledgement, with any arguments; the first call counts."""
Arguments = NewType("Arguments", list)  # type: ignore[type-arg]  # a marker: any JSON, and bytes
"""As an event's type: the handler gets the list of all arguments, binary ones as bytes."""

log = logging.getLogger(__name__)

_MAX_BACKLOG = 256
"""Events that may wait behind one of the same socket's that is still being handled."""


class ConnectError(Exception):
    """Raised by a middleware or connect handler: the client gets CONNECT_ERROR with this message and data."""

    def __init__(self, message: str, data: object = None) -> None:
        """Refuse with `message`."""
        super().__init__(message)
        self.message = message
        self.data = data


class Handler(msgspec.Struct, Generic[T], frozen=True):
    """What is registered for an event. `decode` takes an argument's JSON; it is None for `Arguments`."""

    call: Callable[[Socket, T, Ack | None], Awaitable[None] | None]
    type: type[T] | None
    decode: Callable[[msgspec.Raw], T] | None

    def payload(self, arguments: list[msgspec.Raw], attachments: list[bytes]) -> T | list[Any]:
        """Return the payload. Raises msgspec.DecodeError when it is not what the handler takes."""
        if self.decode is None:
            return [packets.decode_json(argument, attachments) for argument in arguments]
        if attachments and arguments:
            return msgspec.convert(packets.decode_json(arguments[0], attachments), self.type)
        return self.decode(arguments[0] if arguments else _NULL)


_NULL = msgspec.Raw(b"null")


class Namespace:
    """One namespace: its middlewares, its handlers, its sockets.

    `on_connect(socket)` runs once a socket is accepted, `on_disconnect(socket, reason)` when it is gone,
    `on_error(socket, event, error, ack)` when an event's payload is not what its handler takes, and
    `on_unknown(socket, event)` when it has no handler.
    """

    def __init__(self, name: str) -> None:
        """Begin empty."""
        self.name = name
        self.sockets: dict[str, Socket] = {}
        self.handlers: dict[str, Handler[Any]] = {}
        self.middlewares: list[Callable[[Socket], Awaitable[None] | None]] = []
        self.on_connect: Callable[[Socket], None] = _nothing
        self.on_disconnect: Callable[[Socket, str], None] = _nothing
        self.on_error: Callable[[Socket, str, Exception, Ack | None], None] = _nothing
        self.on_unknown: Callable[[Socket, str], None] = _nothing

    def on(
        self,
        event: str,
        payload: type[T],
        handler: Callable[[Socket, T, Ack | None], Awaitable[None] | None],
    ) -> None:
        """Call `handler(socket, payload, ack)` for `event`; `ack` is None when the client wants none.

        `payload` is the type of the event's first argument (further ones are ignored, an absent one is
        null), or `Arguments`.
        """
        if payload is Arguments:
            self.handlers[event] = Handler(handler, None, None)
        else:
            self.handlers[event] = Handler(handler, payload, msgspec.json.Decoder(payload).decode)

    def use(self, middleware: Callable[[Socket], Awaitable[None] | None]) -> None:
        """Ask `middleware(socket)` before a socket connects; it may raise ConnectError."""
        self.middlewares.append(middleware)


def _nothing(*_arguments: object) -> None:
    pass


class Socket:
    """A client in a namespace. `data` is the application's own; `auth` is CONNECT's, until it is accepted."""

    __slots__ = (
        "_acks",
        "_backlog",
        "_client",
        "_next_ack",
        "auth",
        "connected",
        "data",
        "id",
        "namespace",
        "send",
        "send_event",
    )

    def __init__(self, client: Client, namespace: Namespace, auth: object) -> None:
        """Not connected yet: middlewares are asked first."""
        self._client = client
        self.namespace = namespace
        self.auth = auth
        self.id = secrets.token_urlsafe(15)
        self.connected = False
        self.send = client.session.send
        """Send an encoded packet."""
        self.send_event = client.session.send_event
        """Send an event from its `event_prefix` and the JSON of its one argument."""
        self.data: Any = None
        self._acks: dict[int, asyncio.Future[list[Any]]] | None = None
        self._next_ack = 0
        self._backlog: deque[tuple[Handler[Any], Any, Ack | None]] | None = None

    @property
    def address(self) -> str:
        """The client's address, as the engine's rules tell it."""
        return self._client.session.address

    @property
    def query(self) -> Mapping[str, str]:
        """The handshake's query."""
        return self._client.session.query

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        return self._client.session.transport

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def emit(self, event: str, *arguments: object) -> None:
        """Send an event; bytes anywhere in lists and dicts of `arguments` travel as attachments."""
        if self.connected:
            for packet in packets.encode_event(self.namespace.name, event, arguments):
                self._client.session.send(packet)

    async def call(self, event: str, *arguments: object, timeout: float = 10) -> list[Any]:  # noqa: ASYNC109 - part of what is asked
        """Send an event, wait at most `timeout` seconds for its ack, return the ack's arguments.

        Raises TimeoutError, and ConnectionError when the socket disconnects first.
        """
        if not self.connected:
            raise ConnectionError("not connected")
        acks = self._acks = self._acks if self._acks is not None else {}
        number, self._next_ack = self._next_ack, self._next_ack + 1
        future = acks[number] = asyncio.get_running_loop().create_future()
        for packet in packets.encode_event(self.namespace.name, event, arguments, number):
            self._client.session.send(packet)
        try:
            async with asyncio.timeout(timeout):
                answer: list[Any] = await future
                return answer
        finally:
            acks.pop(number, None)

    def disconnect(self, reason: str = "server disconnect", *, close: bool = True) -> None:
        """Disconnect from the namespace, and with `close` end the whole connection."""
        if self.connected:
            self._client.session.send(packets.encode_disconnect(self.namespace.name))
            self._client.drop(self, reason)
        if close:
            self._client.session.close(reason, CloseCode.POLICY_VIOLATION)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def acknowledger(self, ack_id: int) -> Ack:
        """Return what answers the client's ack `ack_id`, once."""
        pending = True

        def acknowledge(*arguments: object) -> None:
            nonlocal pending
            if pending and self.connected:
                pending = False
                for packet in packets.encode_ack(self.namespace.name, ack_id, arguments):
                    self._client.session.send(packet)

        return acknowledge

    def dispatch(self, handler: Handler[Any], payload: object, ack: Ack | None) -> None:
        """Handle an event now, or after those of this socket that are being handled."""
        if self._backlog is not None:
            if len(self._backlog) >= _MAX_BACKLOG:
                self._client.session.close("backlog overflow", CloseCode.TRY_AGAIN_LATER)
                return
            self._backlog.append((handler, payload, ack))
            return
        try:
            result = handler.call(self, payload, ack)
        except Exception:
            log.exception("event handler failed")
            return
        if result is not None:
            self._backlog = deque()
            self._client.server.spawn(self._work(result))

    async def _work(self, running: Awaitable[None]) -> None:
        backlog = self._backlog
        assert backlog is not None  # noqa: S101 - set by dispatch, cleared only here
        awaitable: Awaitable[None] | None = running
        while True:
            try:
                if awaitable is not None:
                    await awaitable
                if not backlog:
                    break
                handler, payload, ack = backlog.popleft()
                awaitable = handler.call(self, payload, ack) if self.connected else None
            except Exception:
                log.exception("event handler failed")
                awaitable = None
        self._backlog = None

    def resolve(self, ack_id: int, arguments: list[Any]) -> None:
        """The client has acknowledged `call` number `ack_id`; one that nobody waits for is ignored."""
        future = self._acks.pop(ack_id, None) if self._acks is not None else None
        if future is not None and not future.done():
            future.set_result(arguments)

    def give_up_acks(self) -> None:
        """Nobody will answer any more."""
        acks, self._acks = self._acks, None
        for future in acks.values() if acks else ():
            if not future.done():
                future.set_exception(ConnectionError("disconnected before the ack"))


class Client:
    """The Socket.IO side of one Engine.IO session: its sockets, and the binary packet being put together."""

    __slots__ = ("_attachments", "_left", "_partial", "server", "session", "sockets")

    def __init__(self, server: Server, session: Session) -> None:
        """Wait for the first CONNECT."""
        self.server = server
        self.session = session
        self.sockets: dict[str, Socket] = {}
        self._partial: Packet | None = None
        self._attachments: list[bytes] = []
        self._left: tuple[str, ...] = ()

    # ── from the session ──────────────────────────────────────────────────────────────────────────

    def on_text(self, packet: str) -> None:
        """Take a packet, Engine.IO's `4` in front. Raises ProtocolError."""
        if self._partial is not None:
            raise ProtocolError("text where an attachment is due")
        if packet.startswith("42["):  # the hot path: an event of namespace / that wants no ack
            socket = self.sockets.get("/")
            if socket is not None and socket.connected:
                self._plain_event(socket, packet[2:])
                return
        decoded = packets.decode(packet[1:])
        if decoded.attachments:
            self._partial = decoded
        else:
            self._take(decoded, [])

    def on_binary(self, data: bytes) -> None:
        """Take an attachment. Raises ProtocolError."""
        packet = self._partial
        if packet is None:
            raise ProtocolError("attachment without packet")
        self._attachments.append(data)
        if len(self._attachments) == packet.attachments:
            attachments, self._attachments, self._partial = self._attachments, [], None
            self._take(packet, attachments)

    def on_close(self, reason: str) -> None:
        """The session is over."""
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
            self.drop(socket, "client disconnect")
        elif packet.id is not None:
            arguments = packets.decode_json(packet.data, attachments)
            socket.resolve(packet.id, arguments)

    def _not_connected(self, namespace: str) -> None:
        """A packet for a namespace without CONNECT breaks the protocol, unless it crossed a DISCONNECT."""
        if namespace not in self._left:
            raise ProtocolError("packet before CONNECT")

    def _plain_event(self, socket: Socket, data: str) -> None:
        """Handle an event of one argument whose handler is there and takes it; everything else is `_event`'s."""
        try:
            event, argument = packets.decode_pair(data)
            handler = socket.namespace.handlers[event]
            payload = handler.decode(argument)  # type: ignore[misc]  # None is a TypeError, and not plain
        except (KeyError, TypeError, msgspec.DecodeError, RecursionError, UnicodeError):
            self._event(socket, data, None, [])
        else:
            socket.dispatch(handler, payload, None)

    def _event(self, socket: Socket, data: str, ack_id: int | None, attachments: list[bytes]) -> None:
        namespace = socket.namespace
        ack = None if ack_id is None else socket.acknowledger(ack_id)
        try:
            event, arguments = packets.decode_event(data)
        except InvalidPayloadError as error:
            if error.event in namespace.handlers:
                namespace.on_error(socket, error.event, error, ack)
            return
        handler = namespace.handlers.get(event)
        if handler is None:
            namespace.on_unknown(socket, event)
            return
        try:
            payload = handler.payload(arguments, attachments)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            namespace.on_error(socket, event, error, ack)
            return
        socket.dispatch(handler, payload, ack)

    # ── connecting ────────────────────────────────────────────────────────────────────────────────

    def _connect(self, packet: Packet) -> None:
        namespace = self.server.namespaces.get(packet.namespace)
        if namespace is None:
            self.session.send(packets.encode_connect_error(packet.namespace, "Invalid namespace"))
            return
        if packet.namespace in self.sockets:
            raise ProtocolError("second CONNECT to a namespace")
        auth = packets.decode_json(packet.data, []) if packet.data else {}
        socket = self.sockets[namespace.name] = Socket(self, namespace, auth)
        self.server.unconnected.discard(self)
        if namespace.middlewares:
            self.server.spawn(self._admit(socket))
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
        except Exception:
            log.exception("middleware failed")
            self._refuse(socket, "Internal server error", None)
        else:
            if self.sockets.get(namespace.name) is socket:
                self._accept(socket)

    def _accept(self, socket: Socket) -> None:
        namespace = socket.namespace
        socket.connected = True
        self._left = tuple(name for name in self._left if name != namespace.name)
        namespace.sockets[socket.id] = socket
        self.session.send(packets.encode_connect(namespace.name, socket.id))
        try:
            namespace.on_connect(socket)
        except Exception:
            log.exception("connect handler failed")
            socket.disconnect("server error")
        socket.auth = None

    def _refuse(self, socket: Socket, message: str, data: object) -> None:
        if self.sockets.get(socket.namespace.name) is socket:
            del self.sockets[socket.namespace.name]
            self.session.send(packets.encode_connect_error(socket.namespace.name, message, data))
            self._wait_for_connect()

    def _wait_for_connect(self) -> None:
        if not self.sockets and self.session.state is not State.CLOSED:
            self.server.unconnected.add(self)

    def drop(self, socket: Socket, reason: str) -> None:
        """Forget a socket and tell the application."""
        namespace = socket.namespace
        self.sockets.pop(namespace.name, None)
        if not socket.connected:
            return
        socket.connected = False
        self._left = (*self._left, namespace.name)
        namespace.sockets.pop(socket.id, None)
        socket.give_up_acks()
        self._wait_for_connect()
        try:
            namespace.on_disconnect(socket, reason)
        except Exception:
            log.exception("disconnect handler failed")


class Server:
    """A Socket.IO server. Hand `engine` to the transports."""

    def __init__(
        self,
        options: Options,
        *,
        origins: Origins | None = None,
        allow: Callable[[Request], Refusal | None] | None = None,
        address: Callable[[Request], str] | None = None,
    ) -> None:
        """See Engine for `origins`, `allow` and `address`. Nothing runs until `start`."""
        extra: dict[str, Any] = {"allow": allow, "address": address}
        self.engine = Engine(
            options,
            self._client,
            origins=origins,
            **{key: value for key, value in extra.items() if value is not None},
        )
        self.namespaces: dict[str, Namespace] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def namespace(self, name: str = "/") -> Namespace:
        """Return the namespace `name`, made when new."""
        return self.namespaces.setdefault(name, Namespace(name))

    def start(self) -> None:
        """Bind to the running event loop."""
        self.engine.start()
        self.unconnected: DelayQueue[Client] = DelayQueue(
            asyncio.get_running_loop(),
            self.engine.options.connect_timeout,
            lambda client: client.session.close("no CONNECT in time", CloseCode.POLICY_VIOLATION),
        )

    async def stop(self) -> None:
        """Close every connection and wait for the handlers that still run."""
        self.engine.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def spawn(self, work: Awaitable[None]) -> None:
        """Run `work` in a task that is kept until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _client(self, session: Session) -> Client:
        client = Client(self, session)
        self.unconnected.add(client)
        return client
