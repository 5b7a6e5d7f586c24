"""Namespaces: an application registers its handlers here; handlers get decoded payloads."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, NewType, Protocol, TypeVar, Union

import msgspec

from passerby.socketio import packets

if TYPE_CHECKING:
    from passerby.socketio.client import Client
    from passerby.socketio.socket import Socket

T = TypeVar("T")
Ack = Callable[..., None]
"""Sends the ack of an event, with any arguments. Only the first call has an effect."""
Arguments = NewType("Arguments", list)  # type: ignore[type-arg]  # a marker: any JSON, and bytes
"""Event type for untyped handlers: the payload is the list of all arguments, binary ones as bytes."""

log = logging.getLogger(__name__)


class ConnectError(Exception):
    """Raised by a middleware: the client gets CONNECT_ERROR with this message and data."""

    def __init__(self, message: str, data: object = None) -> None:
        """Refuse with `message`."""
        super().__init__(message)
        self.message = message
        self.data = data


class HandOver(Exception):  # noqa: N818 - no error
    """Raised by a middleware: somebody else takes the client's session, and handles CONNECT again."""

    def __init__(self, take: Callable[[Client, str], None]) -> None:
        """Call `take(client, CONNECT as the client has sent it)`; it has to give the session another receiver."""
        super().__init__()
        self.take = take


class Handler(msgspec.Struct, Generic[T], frozen=True):
    """The registered handler of an event. `decode` decodes the argument's JSON; it is None for `Arguments`."""

    event: str

    call: Callable[[Socket, T, Ack | None], Awaitable[None] | None]
    type: type[T] | None
    decode: Callable[[msgspec.Raw], T] | None

    def payload(self, event: packets.Event, data: str, attachments: list[bytes]) -> T | list[Any]:
        """Return the payload. Raises msgspec.DecodeError or InvalidPayloadError when it has the wrong type."""
        if self.decode is None:
            arguments: list[Any] = packets.decode_json(data, attachments)
            return arguments[1:]
        if attachments:
            if len(data) > packets.MAX_BINARY_JSON:
                raise packets.InvalidPayloadError("too much JSON beside attachments", event.name)
            value = packets.decode_json(event.argument, attachments)
            return msgspec.convert(value, self.type)
        return self.decode(event.argument)


class Namespace:
    """One namespace: its middlewares, handlers and sockets.

    `on_connect(socket)` runs when a socket is accepted, `on_disconnect(socket, reason)` when it is disconnected,
    `on_error(socket, event, error, ack)` when an event's payload has the wrong type, and
    `on_unknown(socket, event, ack)` when an event has no handler.
    """

    def __init__(self, name: str) -> None:
        """Create a namespace without handlers."""
        self.name = name
        self.sockets: dict[str, Socket] = {}
        self.handlers: dict[str, Handler[Any]] = {}
        self.decode: Callable[[str], TypedEvent] = _decode_nothing
        """Decodes an event with a typed handler: name and first argument in one pass; see `on`."""
        self.middlewares: list[Callable[[Socket], Awaitable[None] | None]] = []
        self.on_connect: Callable[[Socket], None] = _nothing
        self.on_disconnect: Callable[[Socket, str], None] = _nothing
        self.on_error: Callable[[Socket, str, Exception, Ack | None], None] = _nothing
        self.on_unknown: Callable[[Socket, str, Ack | None], None] = _nothing

    def on(
        self,
        event: str,
        payload: type[T],
        handler: Callable[[Socket, T, Ack | None], Awaitable[None] | None],
    ) -> None:
        """Call `handler(socket, payload, ack)` for `event`; `ack` is None when the client did not ask for one.

        `payload` is the type of the event's first argument, or `Arguments`. A missing argument is null, further ones
        are ignored.
        """
        if payload is Arguments:
            self.handlers[event] = Handler(event, handler, None, None)
        else:
            self.handlers[event] = Handler(event, handler, payload, msgspec.json.Decoder(payload).decode)
        self.decode = _decoder(self.handlers.values())

    def use(self, middleware: Callable[[Socket], Awaitable[None] | None]) -> None:
        """Call `middleware(socket)` before a socket connects; it may raise ConnectError."""
        self.middlewares.append(middleware)


class TypedEvent(Protocol):
    """Result of `Namespace.decode`."""

    handler: Handler[Any]
    argument: Any


def _decoder(handlers: Iterable[Handler[Any]]) -> Callable[[str], TypedEvent]:
    """Return a decoder for the events of all typed `handlers`: a union tagged by event name."""
    kinds = tuple(
        msgspec.defstruct(
            "TypedEvent",
            [("argument", handler.type, *_absent(handler.decode))],
            namespace={"handler": handler},
            array_like=True,
            tag=handler.event,
            gc=False,
        )
        for handler in handlers
        if handler.decode is not None
    )
    if not kinds:
        return _decode_nothing
    return msgspec.json.Decoder(Union[kinds]).decode  # noqa: UP007 - as many as there are


def _absent(decode: Callable[[msgspec.Raw], Any]) -> tuple[Any, ...]:
    """Return the default of a missing argument as a tuple: null, or nothing if null is not valid."""
    try:
        return (decode(packets.NULL),)
    except msgspec.ValidationError:
        return ()


def _decode_nothing(_data: str) -> TypedEvent:
    raise msgspec.ValidationError("no event has a typed handler")


def _nothing(*_arguments: object) -> None:
    pass


def tell(hook: Callable[..., None], *arguments: object) -> None:
    """Call a hook of the application. Exceptions are logged: they are the application's fault, not the client's."""
    try:
        hook(*arguments)
    except Exception:
        log.exception("hook failed")
