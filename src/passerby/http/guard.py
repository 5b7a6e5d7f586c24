"""uvicorn's HTTP/1.1 protocol with limits: timeout and size of request heads, timeout between parts of a body.

Targets in absolute form (`GET http://chat.example/socket.io/ HTTP/1.1`), which proxies may send, are written as targets
in origin form before uvicorn, the WebSocket transport or a route sees them.

Reads are small. asyncio and uvloop read up to 256 KB at once, and uvicorn buffers up to 64 KiB more before it stops
reading; all of that would be held for each body that waits for its application.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_TIMEOUT: Final = 10.0
"""Seconds for a complete request head, from the connection or from the first byte after the previous request."""
HEAD_LIMIT: Final = 32 * 1024
"""Maximum bytes of a request head: much more than browsers send, even with a token and cookies."""
MAX_HEADERS: Final = 128
"""Header lines of a request, at most: browsers send about 20, and proxies add some."""
BODY_TIMEOUT: Final = 10.0
"""Maximum seconds between two parts of a request body."""
READ_SIZE: Final = 32 * 1024
"""Maximum bytes per read. Reading pauses while a part of a body waits for the application."""
_ABSOLUTE: Final = re.compile(rb"(?:https?|wss?)://(?:[^/?#@]*@)?([^/?#@]*)(.*)", re.IGNORECASE | re.DOTALL)
"""RFC 9112 §3.2.2: the host, and the path with the query."""


def http_factory() -> type[asyncio.Protocol]:
    """Return a protocol factory for `uvicorn.Config(http=…)` of one server."""
    buffer = memoryview(bytearray(READ_SIZE))

    def make(*arguments: Any, **named: Any) -> asyncio.BaseProtocol:  # noqa: ANN401 - uvicorn's arguments
        return _Reads(GuardedHttpProtocol(*arguments, **named), buffer)

    return make  # type: ignore[return-value]  # uvicorn only calls it


class _Reads(asyncio.BufferedProtocol):
    """Reads into a buffer shared by all connections of an event loop, and passes a copy to the protocol at once."""

    def __init__(self, protocol: GuardedHttpProtocol, buffer: memoryview) -> None:
        self._protocol = protocol
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._buffer[:nbytes]))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


class GuardedHttpProtocol(HttpToolsProtocol):
    """Aborts connections with a late or too large request head, or a stalled body; uvicorn has no such limits."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _fed = 0
    """Bytes received since the head began; also counts an unfinished header, which the parser buffers."""
    _parsed = 0
    """Bytes of the parsed parts of the head."""
    _lines = 0
    """Header lines of the head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, unlike uvicorn's annotation
        if self._timer is None and (cycle is None or cycle.response_complete):
            self._expect_head()
        was_in_head = self._in_head
        super().data_received(data)
        if self._in_head and was_in_head:
            self._fed += len(data)
            if self._fed > HEAD_LIMIT:
                self.transport.abort()
        elif not self._in_head and self._timer is not None:
            self._expect_body()

    def on_message_begin(self) -> None:
        """A head begins. Applications get a way to abort the connection; ASGI has none for incomplete responses."""
        self._in_head = True
        self._fed = self._parsed = self._lines = 0
        super().on_message_begin()
        self.scope["passerby.cut"] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        """Count a part of the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._lines += 1
        if self._lines > MAX_HEADERS:
            raise ValueError("too many header lines")  # as below
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > HEAD_LIMIT:
            raise ValueError("request head too large")  # uvicorn answers 400 and closes

    def on_headers_complete(self) -> None:
        """The head is complete; wait for the body."""
        self._in_head = False
        self._expect_body()
        if not self.url.startswith(b"/"):
            self._take_origin_form()
        super().on_headers_complete()

    def _take_origin_form(self) -> None:
        """Split an absolute target; its host counts, whatever `Host` says (RFC 9112 §3.2.2)."""
        absolute = _ABSOLUTE.fullmatch(self.url)
        if absolute is not None:
            host, target = absolute.groups()
            self.url = target if target.startswith(b"/") else b"/" + target
            self.headers[:] = [*(header for header in self.headers if header[0] != b"host"), (b"host", host)]

    def on_body(self, body: bytes) -> None:
        """Pause reading until the application asks for more of the body."""
        super().on_body(body)
        if self.cycle.body and not self.cycle.response_complete:
            self.flow.pause_reading()  # resumed when the application asks for more

    def on_message_complete(self) -> None:
        """The body is complete; stop the timeout."""
        self._expect_nothing()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Stop the timeout; the WebSocket transport has its own limits."""
        self._expect_nothing()
        super().handle_websocket_upgrade()

    def _expect_head(self) -> None:
        self._in_head = True
        self._fed = 0
        self._timer = self.loop.call_later(HEAD_TIMEOUT, self._cut)

    def _expect_body(self) -> None:
        self._expect_nothing()
        self._timer = self.loop.call_later(BODY_TIMEOUT, self._cut)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            self._expect_body()  # the application does not read; the client is not at fault
        else:
            self.transport.abort()
