"""HTTP requests that open or use a session, for both transports, and the errors that refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_QUERY_FIELDS: Final = 64
"""Engine.IO needs five fields; a client may add a few."""


class Request(Struct, frozen=True):
    """The head of an HTTP request. `peer` is the IP address at the other end of the TCP connection."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    peer: str
    websocket: bool = False

    def header(self, name: bytes) -> str:
        """Return a header by lower-case `name`: empty when absent, several lines joined by `, `."""
        return self.headers.get(name, b"").decode("latin-1")


class Refusal(Struct, frozen=True):
    """An HTTP error with the reference server's body `{"code", "message"}`, plus `reason`."""

    number: int
    """Engine.IO's error number: `code` in the body."""
    code: str
    """This server's stable code: `reason` in the body."""
    message: str
    status: int = 400
    retry_after: float | None = None

    def body(self) -> bytes:
        """Return the JSON body."""
        return encode({"code": self.number, "message": self.message, "reason": self.code})


TRANSPORT_UNKNOWN: Final = Refusal(0, "transport_unknown", "Transport unknown")
SESSION_UNKNOWN: Final = Refusal(1, "connection_unknown", "Session ID unknown")
BAD_METHOD: Final = Refusal(2, "bad_method", "Bad handshake method")
BAD_REQUEST: Final = Refusal(3, "bad_request", "Bad request")
FORBIDDEN: Final = Refusal(4, "origin_forbidden", "Forbidden", status=403)
ALREADY_UPGRADED: Final = Refusal(3, "already_upgraded", "Session is upgraded or upgrading")
UNSUPPORTED_PROTOCOL: Final = Refusal(5, "protocol_unsupported", "Unsupported protocol version")


def parse_query(query: str) -> dict[str, str]:
    """Return the fields of a query string, the last value of each; an empty dict if there are more than 64."""
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS))
    except ValueError:
        return {}


def join_headers(lines: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by lower-case name; several lines of one name are joined by `, ` (RFC 9110 §5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in lines:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers
