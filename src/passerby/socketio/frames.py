"""WebSocket frames of a server (RFC 6455 §5.2: final, unmasked), made by hand.

picows parses what comes in. What goes out is framed here, so that a broadcast is framed once, and
written to the transport, which joins all that one turn of the event loop has for a socket.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_TEXT = 0x81
_BINARY = 0x82
_SHORT_TEXT = tuple(bytes((_TEXT, size)) for size in range(126))
_MEDIUM = struct.Struct(">BBH").pack
_LONG = struct.Struct(">BBQ").pack


class CloseCode(IntEnum):
    """RFC 6455 §7.4.1, those that a server of ours has a use for."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


def text_frame(payload: bytes) -> bytes:
    """Return `payload` (UTF-8) as one text frame."""
    size = len(payload)
    if size < 126:  # noqa: PLR2004 - the RFC's own limit of the short length
        return _SHORT_TEXT[size] + payload
    return _header(_TEXT, size) + payload


def binary_frame(payload: bytes) -> bytes:
    """Return `payload` as one binary frame."""
    return _header(_BINARY, len(payload)) + payload


def _header(first: int, size: int) -> bytes:
    if size < 126:  # noqa: PLR2004 - the RFC's own limit of the short length
        return bytes((first, size))
    if size < 1 << 16:
        return _MEDIUM(first, 126, size)
    return _LONG(first, 127, size)
