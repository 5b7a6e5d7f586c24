"""Engine.IO 4 codec: pure functions that decode and encode packets.

The grammar (https://github.com/socketio/socket.io/tree/main/docs/engine.io-protocol)::

    packet   = type [data]          type: 0 open, 1 close, 2 ping, 3 pong, 4 message, 5 upgrade, 6 noop
    payload  = packet *( U+001E packet )                       ; one HTTP body of long polling
    binary   = the data alone in a binary WebSocket frame, or `b` base64(data) in a payload
    open     = 0 {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}

Text is received as `str` (both transports have validated UTF-8) and sent as UTF-8 `bytes`, which the JSON encoder
returns and sockets accept.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PROTOCOL: Final = 4
"""The protocol revision, `EIO` in the query."""

CLOSE: Final = b"1"
PING: Final = b"2"
NOOP: Final = b"6"
PROBE: Final = "2probe"
PROBE_ANSWER: Final = b"3probe"
UPGRADE: Final = "5"

SEPARATOR: Final = "\x1e"
_SEPARATOR_BYTES: Final = SEPARATOR.encode()
_TYPES: Final = frozenset("0123456")


class ProtocolError(ValueError):
    """The peer violated the protocol; the connection must be closed."""


class Binary(bytes):
    """An outgoing binary message. Plain `bytes` are a text packet that includes its type."""

    __slots__ = ()


class Open(Struct, rename="camel", frozen=True):
    """Data of the open packet. Times are milliseconds, `max_payload` is bytes."""

    sid: str
    upgrades: list[str]
    ping_interval: int
    ping_timeout: int
    max_payload: int

    def packet(self) -> bytes:
        """Return the open packet."""
        return b"0" + encode(self)


def decode_payload(body: str) -> Iterator[str | bytes]:
    """Yield the packets of a POST body: `str` with the type in front, `bytes` for a binary message.

    A generator, because a list of the packets of a body of separators would be many times larger than the body.
    Raises ProtocolError for an empty packet, an unknown type or invalid base64.
    """
    start = 0
    while (end := body.find(SEPARATOR, start)) >= 0:
        yield _decode_packet(body[start:end])
        start = end + 1
    yield _decode_packet(body[start:])


def _decode_packet(packet: str) -> str | bytes:
    if packet[:1] == "b":
        try:
            return b64decode(packet[1:].encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ProtocolError("binary packet is not base64") from error
    if packet[:1] not in _TYPES:
        raise ProtocolError("unknown packet type")
    return packet


def encode_payload(packets: Iterable[bytes]) -> bytes:
    """Join outgoing packets into the body of a poll response."""
    return _SEPARATOR_BYTES.join(
        b"b" + b64encode(packet) if isinstance(packet, Binary) else packet for packet in packets
    )
