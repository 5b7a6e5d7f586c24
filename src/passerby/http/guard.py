"""uvicorn's HTTP/1.1 protocol with a guard at the door: a request head has a deadline and a size, a body a pace.

It reads a little at a time. What asyncio and uvloop read at once (256 KB) and uvicorn collects before it stops
(64 KiB more) would be held for each body whose application waits.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_TIMEOUT: Final = 10.0
"""Seconds for a whole request head, from the connection or from the first byte after the request before."""
HEAD_LIMIT: Final = 32 * 1024
"""Bytes of a request head: far above browsers' with a token and cookies, far below what hurts."""
BODY_TIMEOUT: Final = 10.0
"""Seconds within which some more of a request's body has to come."""
READ_SIZE: Final = 32 * 1024
"""Bytes read at once. While some of a body wait for the application, no more are read."""


def http_factory() -> type[asyncio.Protocol]:
    """Return what makes the protocol of a connection, for `uvicorn.Config(http=…)` of one server."""
    buffer = memoryview(bytearray(READ_SIZE))

    def make(*arguments: Any, **named: Any) -> asyncio.BaseProtocol:  # noqa: ANN401 - uvicorn's own
        return _Reads(GuardedHttpProtocol(*arguments, **named), buffer)

    return make  # type: ignore[return-value]  # uvicorn only calls it


class _Reads(asyncio.BufferedProtocol):
    """Reads for a protocol, into a buffer that all connections of a loop share: what is read is taken at once."""

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
    """Cuts a connection whose request head is late or too large, or whose body stops; uvicorn waits for ever."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _fed = 0
    """Bytes since the head began, as they came: what a header without end would make the parser keep."""
    _parsed = 0
    """Bytes of the head's parts that are complete."""

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
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn says
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
        """A head begins. The application can cut the connection: ASGI has no way to say that an answer breaks off."""
        self._in_head = True
        self._fed = self._parsed = 0
        super().on_message_begin()
        self.scope["passerby.cut"] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > HEAD_LIMIT:
            raise ValueError("request head too large")  # uvicorn answers 400 and closes

    def on_headers_complete(self) -> None:
        """The head is there in time."""
        self._in_head = False
        self._expect_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        super().on_body(body)
        if self.cycle.body and not self.cycle.response_complete:
            self.flow.pause_reading()  # until the application asks for more

    def on_message_complete(self) -> None:
        """The body is there too."""
        self._expect_nothing()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; from now on the WebSocket's own limits hold."""
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
            self._expect_body()  # it is the application that does not read
        else:
            self.transport.abort()
