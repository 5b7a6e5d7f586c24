"""uvicorn's HTTP/1.1 protocol with a guard at the door: a request head has a deadline and a size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    import asyncio

HEAD_TIMEOUT: Final = 10.0
"""Seconds for a whole request head, from the connection or from the end of the request before."""
HEAD_LIMIT: Final = 32 * 1024
"""Bytes of a request head: far above browsers' with a token and cookies, far below what hurts."""


class GuardedHttpProtocol(HttpToolsProtocol):
    """Cuts a connection whose request head is late or too large; uvicorn itself waits for ever."""

    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._head_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever uvicorn says
        if self._head_timer is None and (cycle is None or cycle.response_complete):
            self._expect_head()
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT:
                self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header that came whole; raising here makes uvicorn answer 400 and close."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_LIMIT:
            raise ValueError("request head too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there in time."""
        self._head_complete()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._cut)

    def _head_complete(self) -> None:
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _cut(self) -> None:
        self._head_timer = None
        self.transport.abort()
