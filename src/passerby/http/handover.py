"""Connections whose next request is another worker's: they go there with the bytes that nothing has parsed yet.

Only between requests, and when the first line of a request is there; the rest of its head may follow at the other
worker. What comes behind an unanswered request is served here: browsers and proxies send nothing there.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from passerby.http.guard import TARGET_LIMIT, GuardedHttpProtocol, Reads

if TYPE_CHECKING:
    import asyncio

_LINE_LIMIT: Final = TARGET_LIMIT + 64
"""Bytes of a first line that are held at most: a target, a method and a version."""
_RETRY: Final = 0.005
"""Seconds until a full inbox is tried again: the other worker empties it in every iteration of its event loop."""
_TRIES: Final = 400
"""How often a full inbox is tried: two seconds in all, then the client may try again."""


class Outcome(Enum):
    """What has become of a connection that was to be passed on."""

    PASSED = "passed"
    FULL = "full"
    """Not now: the inbox is full."""
    GONE = "gone"
    """There is no such worker."""


class Handover(Protocol):
    """Knows the other workers."""

    def target(self, line: bytes) -> str | None:
        """Return the worker whose request has the first line `line`; None if it is to be served here."""

    def elsewhere(self) -> str | None:
        """Return a worker that takes the connections of this one, if this one ends and there is another."""

    def pass_on(self, worker: str, descriptor: int, data: bytes) -> Outcome:
        """Pass a connection on, with what was read of it."""


class HandingReads(Reads):
    """Reads for a protocol, and passes the connection on when it has to be somebody else's."""

    def __init__(self, protocol: GuardedHttpProtocol, buffer: memoryview, *, handover: Handover) -> None:
        """Ask `handover` at the beginning of each request."""
        super().__init__(protocol, buffer)
        self._handover = handover
        self._held = b""
        """What was read of a request whose first line is not complete, or that is to be passed on."""
        self._is_leaving = False
        self._first = b""

    def begin_with(self, data: bytes) -> None:
        """The connection was another worker's, which has read `data`. Called before it is made."""
        self._first = data

    def leave(self) -> None:
        """Pass the connection on, if this worker ends, another one stays, and no request is being served."""
        if self._is_leaving or not self._protocol.is_between_requests:
            return
        worker = self._handover.elsewhere()
        if worker is not None:
            held, self._held = self._held, b""
            self._pass_on(worker, held, _TRIES)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See `asyncio.BaseProtocol`."""
        self._transport = transport
        super().connection_made(transport)
        first, self._first = self._first, b""
        if first:
            self._take(first)

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._take(bytes(self._buffer[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._held = b""
        super().connection_lost(exc)

    def _take(self, data: bytes) -> None:
        protocol = self._protocol
        if self._is_leaving:
            self._held += data
            return
        if not self._held and not protocol.is_between_requests:
            protocol.data_received(data)
            return
        data = self._held + data
        begin = len(data) - len(data.lstrip(b"\r\n"))  # RFC 9112 §2.2: empty lines before a request mean nothing
        end = data.find(b"\n", begin)
        if end < 0 and len(data) <= _LINE_LIMIT:
            self._held = data
            protocol.head_begins()
            return
        self._held = b""
        worker = self._handover.target(data[begin:end])
        if worker is None:
            protocol.data_received(data)
        else:
            self._pass_on(worker, data, _TRIES)

    def _pass_on(self, worker: str, data: bytes, tries: int) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        outcome = self._handover.pass_on(worker, transport.get_extra_info("socket").fileno(), data)
        if outcome is Outcome.GONE:
            self._stay(data)
        elif outcome is Outcome.PASSED or not tries:
            transport.pause_reading()
            transport.abort()  # closes only our descriptor of the connection, if another worker has one
        else:
            if not self._is_leaving:
                self._is_leaving = True
                transport.pause_reading()
            self._protocol.later(_RETRY, lambda: self._try_again(worker, data, tries - 1))

    def _try_again(self, worker: str, data: bytes, tries: int) -> None:
        held, self._held = self._held, b""
        self._pass_on(worker, data + held, tries)

    def _stay(self, data: bytes) -> None:
        if self._is_leaving:
            self._is_leaving = False
            self._transport.resume_reading()
        self._protocol.data_received(data)
