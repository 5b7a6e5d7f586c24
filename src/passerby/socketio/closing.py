"""Close reasons: one table for close frames, the application, documentation and metrics.

An application defines its own close reasons and passes them to `Socket.disconnect`.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from passerby.socketio.frames import CloseCode

_CODE: Final = re.compile(r"[a-z0-9_]{1,64}")


class Closing(Struct, frozen=True):
    """A close reason. `code` is stable; the WebSocket's close frame contains it as reason (RFC 6455 §5.5.1)."""

    code: str
    websocket: CloseCode
    come_back: bool
    """Whether the client should reconnect automatically."""
    meaning: str

    def __post_init__(self) -> None:
        """Raise ValueError for a code that is not 1 to 64 of `a-z 0-9 _`."""
        if not _CODE.fullmatch(self.code):
            raise ValueError(f"no code of a closing: {self.code!r}")


CLIENT_DISCONNECT: Final = Closing(
    "client_disconnect", CloseCode.NORMAL, come_back=False, meaning="the client left the namespace"
)
SERVER_DISCONNECT: Final = Closing(
    "server_disconnect", CloseCode.POLICY_VIOLATION, come_back=False, meaning="the application ended the connection"
)
TRANSPORT_CLOSE: Final = Closing(
    "transport_close", CloseCode.NORMAL, come_back=True, meaning="the client closed the connection"
)
TRANSPORT_ERROR: Final = Closing(
    "transport_error", CloseCode.NORMAL, come_back=True, meaning="a poll broke off before its answer"
)
PING_TIMEOUT: Final = Closing("ping_timeout", CloseCode.NORMAL, come_back=True, meaning="no answer to a ping")
CONNECT_TIMEOUT: Final = Closing(
    "connect_timeout",
    CloseCode.POLICY_VIOLATION,
    come_back=True,
    meaning="no CONNECT was accepted in time, or all namespaces were left",
)
SERVER_SHUTTING_DOWN: Final = Closing(
    "server_shutting_down", CloseCode.SERVICE_RESTART, come_back=True, meaning="the server stops or starts again"
)
SERVER_ERROR: Final = Closing(
    "server_error", CloseCode.INTERNAL_ERROR, come_back=True, meaning="something failed on the server"
)
STALLED: Final = Closing("stalled", CloseCode.TRY_AGAIN_LATER, come_back=True, meaning="the client stopped reading")
OUTBOX_OVERFLOW: Final = Closing(
    "outbox_overflow",
    CloseCode.TRY_AGAIN_LATER,
    come_back=True,
    meaning="too many bytes waited for the client to read them",
)
BACKLOG_OVERFLOW: Final = Closing(
    "backlog_overflow",
    CloseCode.TRY_AGAIN_LATER,
    come_back=True,
    meaning="too many events waited behind one that was being handled",
)
TOO_MANY_PACKETS: Final = Closing(
    "too_many_packets",
    CloseCode.POLICY_VIOLATION,
    come_back=True,
    meaning="far too many frames, packets or bytes; come back slower",
)
MESSAGE_TOO_BIG: Final = Closing(
    "message_too_big", CloseCode.TOO_BIG, come_back=True, meaning="a message over the limit"
)
PARSE_ERROR: Final = Closing(
    "parse_error",
    CloseCode.PROTOCOL_ERROR,
    come_back=True,
    meaning="a packet that is not Engine.IO or Socket.IO, or out of order",
)
TEXT_NOT_UTF8: Final = Closing(
    "text_not_utf8", CloseCode.INVALID_TEXT, come_back=True, meaning="a text message that is not UTF-8"
)
FRAGMENTS_OUT_OF_ORDER: Final = Closing(
    "fragments_out_of_order",
    CloseCode.PROTOCOL_ERROR,
    come_back=True,
    meaning="a fragmented message that breaks RFC 6455 §5.4",
)
EXTENSION_NOT_AGREED: Final = Closing(
    "extension_not_agreed",
    CloseCode.PROTOCOL_ERROR,
    come_back=True,
    meaning="a reserved bit without an extension (RFC 6455 §5.2)",
)
DUPLICATE_POLL: Final = Closing(
    "duplicate_poll", CloseCode.NORMAL, come_back=True, meaning="two polls of one session at once"
)
UPGRADE_NOT_COMPLETED: Final = Closing(
    "upgrade_not_completed",
    CloseCode.POLICY_VIOLATION,
    come_back=False,
    meaning="a probe that was given up; the session goes on polling",
)

CLOSINGS: Final = (
    CLIENT_DISCONNECT,
    SERVER_DISCONNECT,
    TRANSPORT_CLOSE,
    TRANSPORT_ERROR,
    PING_TIMEOUT,
    CONNECT_TIMEOUT,
    SERVER_SHUTTING_DOWN,
    SERVER_ERROR,
    STALLED,
    OUTBOX_OVERFLOW,
    BACKLOG_OVERFLOW,
    TOO_MANY_PACKETS,
    MESSAGE_TOO_BIG,
    PARSE_ERROR,
    TEXT_NOT_UTF8,
    FRAGMENTS_OUT_OF_ORDER,
    EXTENSION_NOT_AGREED,
    DUPLICATE_POLL,
    UPGRADE_NOT_COMPLETED,
)
