"""Socket.IO 5 codec: pure functions between the text of an Engine.IO message and a packet.

The grammar (https://github.com/socketio/socket.io/tree/main/docs/socket.io-protocol)::

    packet = type [attachments "-"] [namespace ","] [ack id] [JSON]
    type   = 0 CONNECT, 1 DISCONNECT, 2 EVENT, 3 ACK, 4 CONNECT_ERROR, 5 BINARY_EVENT, 6 BINARY_ACK

    0{"token":"…"}            CONNECT to / with auth         0/admin,        CONNECT to /admin
    2["name",1]               EVENT                          212["name",1]   EVENT that asks for ack 12
    312[true]                 ACK 12                         4{"message":…}  CONNECT_ERROR
    51-["name",{"_placeholder":true,"num":0}]                BINARY_EVENT, one binary message follows

Packets are received as `str` and sent as `bytes`, which already include the Engine.IO type `4`.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

from passerby.socketio.engineio import Binary, ProtocolError

MAX_ATTACHMENTS: Final = 10
"""Maximum binary attachments of one packet (also socket.io-parser's default)."""

MAX_BINARY_JSON: Final = 8192
"""Maximum characters of JSON with attachments for a typed handler: decoding it takes more memory than usual."""

MAX_ACK_DIGITS: Final = 15
"""Ack ids are below 10^15, so that a JavaScript number represents them exactly."""

RESERVED_EVENTS: Final = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener"})
"""Event names that a client must not send: the library uses them for its own events."""


class PacketType(IntEnum):
    """The packet type: the first character of a packet."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class Packet(NamedTuple):
    """A packet whose JSON is not decoded yet (`data` may be empty)."""

    type: PacketType
    namespace: str
    id: int | None
    data: str
    attachments: int = 0


class InvalidPayloadError(ValueError):
    """Well-formed JSON that this server does not accept (lone surrogates, nested too deeply).

    `event` is the event's name if it is known.
    """

    def __init__(self, message: str, event: str | None = None) -> None:
        """`message` says what is wrong."""
        super().__init__(message)
        self.event = event


_HEADER = re.compile(
    rf"([0-6])(?:(?<=[56])([0-9]{{1,2}})-)?(?:(/[^,]*)(?:,|$))?((?:0|[1-9][0-9]{{0,{MAX_ACK_DIGITS - 1}}})(?=\[))?",
    re.ASCII,
)
_STRING_NAME = re.compile(r'\[\s*"([^"\\]{0,128})"')
_NUMBER_NAME = re.compile(r"\[\s*(-?[0-9]{1,15})\s*[,\]]")
_SURROGATES = re.compile(rb"(?:\\u[dD][89a-fA-F][0-9a-fA-F]{2})+")
_JSON = msgspec.json.Decoder(msgspec.Raw)
NULL: Final = msgspec.Raw(b"null")


_DATA_START: Final = {
    PacketType.CONNECT: ("", "{"),
    PacketType.DISCONNECT: ("",),
    PacketType.EVENT: ("[",),
    PacketType.ACK: ("[",),
    PacketType.BINARY_EVENT: ("[",),
    PacketType.BINARY_ACK: ("[",),
}
_ACKS: Final = (PacketType.ACK, PacketType.BINARY_ACK)


def decode(text: str) -> Packet:
    """Decode the text of one Engine.IO message (without its `4`).

    Raises ProtocolError for packets that a client must not send: unknown type, invalid number of attachments or ack id,
    data of the wrong shape, CONNECT_ERROR.
    """
    match = _HEADER.match(text)
    if match is None:
        raise ProtocolError("unknown packet type")
    kind = PacketType(int(match[1]))
    data = text[match.end() :]
    if data[:1] not in _DATA_START.get(kind, ()):
        raise ProtocolError("malformed packet")
    attachments = int(match[2]) if match[2] else 0
    if (kind >= PacketType.BINARY_EVENT) != (match[2] is not None) or attachments > MAX_ATTACHMENTS:
        raise ProtocolError("bad number of attachments")
    if kind in _ACKS and match[4] is None:
        raise ProtocolError("ack without id")
    namespace = match[3].partition("?")[0] if match[3] else "/"
    return Packet(kind, namespace, int(match[4]) if match[4] else None, data, attachments)


class Event(msgspec.Struct, array_like=True, gc=False):
    """An event's JSON array: its name, and its first argument, not decoded yet. Further arguments are skipped."""

    name: str
    argument: msgspec.Raw = NULL


_decode_event = msgspec.json.Decoder(Event).decode


def decode_event(data: str) -> Event:
    """Decode an event's JSON array.

    Raises ProtocolError when it is not a JSON array that begins with an allowed name, and InvalidPayloadError when it
    is valid JSON that this server does not accept.
    """
    try:
        event = _decode_event(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        event = _judge(data, error)
    if event.name in RESERVED_EVENTS:
        raise ProtocolError("reserved event name")
    return event


def _judge(data: str, error: Exception) -> Event:
    """Distinguish malformed JSON from JSON that is not accepted; return the event if its name is a number (legal)."""
    name = _STRING_NAME.match(data)
    if not isinstance(error, RecursionError):
        try:
            _JSON.decode(_without_surrogates(data))
        except RecursionError:
            pass
        except msgspec.DecodeError as broken:
            raise ProtocolError("malformed JSON") from broken
        else:
            if name is not None:
                raise InvalidPayloadError("text is not valid Unicode", name[1]) from error
            number = _NUMBER_NAME.match(data)
            if number is None:
                raise ProtocolError("an event needs a name") from error
            return Event(number[1])
    raise InvalidPayloadError("nested too deeply", name[1] if name else None) from error


def _without_surrogates(data: str) -> bytes:
    """Replace escaped surrogates by spaces: a lone surrogate is legal JSON, but not valid Unicode text."""
    # By an escaped space: before it may stand a backslash that is escaped by another.
    return _SURROGATES.sub(rb"\\u0020", data.encode("utf-8", "replace"))


def check_json(data: str) -> msgspec.Raw:
    """Return `data` without decoding it. Raises ProtocolError when it is malformed."""
    try:
        return _JSON.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ProtocolError("malformed JSON") from error


def decode_json(data: str | msgspec.Raw, attachments: list[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    """Decode any JSON and replace placeholders by their `attachments`.

    Raises ProtocolError for malformed JSON or a placeholder without attachment.
    """
    try:
        value = msgspec.json.decode(data)
        return _fill(value, attachments) if attachments else value
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ProtocolError("malformed JSON") from error


def _fill(value: Any, attachments: list[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            number = value.get("num")
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(attachments):
                raise ProtocolError("placeholder without attachment")
            return attachments[number]
        return {key: _fill(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, attachments) for item in value]
    return value


def event_prefix(event: str, namespace: str = "/") -> bytes:
    """Return the bytes before the single argument of `event`: `prefix + JSON + b"]"` is the whole packet.

    The prefix is computed once per event, so encoding on the hot path is two concatenations.
    """
    return b"42" + _namespace(namespace) + b"[" + msgspec.json.encode(event) + b","


def encode_connect(namespace: str, sid: str) -> bytes:
    """Return the CONNECT packet that accepts a client."""
    return b"40" + _namespace(namespace) + msgspec.json.encode({"sid": sid})


def encode_client_connect(namespace: str, auth: msgspec.Raw) -> str:
    """Return CONNECT as a client sends it."""
    return (b"40" + _namespace(namespace) + bytes(auth)).decode()


def encode_connect_error(namespace: str, message: str, data: object = None) -> bytes:
    """Return the CONNECT_ERROR packet that refuses a client."""
    error: dict[str, object] = {"message": message}
    if data is not None:
        error["data"] = data
    return b"44" + _namespace(namespace) + msgspec.json.encode(error)


def encode_disconnect(namespace: str) -> bytes:
    """Return the DISCONNECT packet of a namespace."""
    return b"41" + (namespace.encode() + b"," if namespace != "/" else b"")


def encode_event(namespace: str, event: str, arguments: tuple[object, ...], ack_id: int | None = None) -> list[bytes]:
    """Return an event as its text packet, followed by its binary messages, which must be sent directly after it."""
    return _encode(PacketType.EVENT, PacketType.BINARY_EVENT, namespace, ack_id, [event, *arguments])


def encode_ack(namespace: str, ack_id: int, arguments: tuple[object, ...]) -> list[bytes]:
    """Return an ack as its text packet, followed by its binary messages, which must be sent directly after it."""
    return _encode(PacketType.ACK, PacketType.BINARY_ACK, namespace, ack_id, list(arguments))


def _encode(plain: PacketType, binary: PacketType, namespace: str, ack_id: int | None, data: object) -> list[bytes]:
    attachments: list[bytes] = []
    data = _extract(data, attachments)
    kind = b"4%d%d-" % (binary, len(attachments)) if attachments else b"4%d" % plain
    identifier = b"" if ack_id is None else b"%d" % ack_id
    return [kind + _namespace(namespace) + identifier + msgspec.json.encode(data), *attachments]


def _extract(value: object, attachments: list[bytes]) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        attachments.append(Binary(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {key: _extract(item, attachments) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_extract(item, attachments) for item in value]
    return value


def _namespace(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","
