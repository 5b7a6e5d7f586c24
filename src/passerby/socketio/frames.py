"""Encodes headers of a server's WebSocket frames (RFC 6455 §5.2: final, unmasked).

picows only parses received frames. Sent frames are encoded here, so that a session can join all packets of one
event loop iteration into a single write.
"""

from __future__ import annotations

import struct
from enum import IntEnum

_TEXT = 0x81
_BINARY = 0x82
_PONG = 0x8A
_MEDIUM = struct.Struct(">BBH").pack
_LONG = struct.Struct(">BBQ").pack


class CloseCode(IntEnum):
    """The close codes of RFC 6455 §7.4.1 that this server uses."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013


def _header(first: int, size: int) -> bytes:
    if size < 126:  # noqa: PLR2004 - the RFC's limit of the short length
        return bytes((first, size))
    if size < 1 << 16:
        return _MEDIUM(first, 126, size)
    return _LONG(first, 127, size)


class _TextHeaders(dict[int, bytes]):
    """Caches headers of short frames: nearly all frames are short, and a lookup takes half the time of encoding."""

    def __missing__(self, size: int) -> bytes:
        return _header(_TEXT, size)


TEXT_HEADERS = _TextHeaders({size: _header(_TEXT, size) for size in range(1024)})
"""The header of a text frame by payload size in bytes."""


def binary_header(size: int) -> bytes:
    """Return the header of a binary frame with `size` bytes of payload."""
    return _header(_BINARY, size)


def pong_frame(payload: bytes) -> bytes:
    """Return the pong frame for a ping with `payload` (at most 125 bytes)."""
    return _header(_PONG, len(payload)) + payload
