"""uvicorn's HTTP/1.1 protocol with limits: of connections, of request heads and bodies, of responses nobody reads.

Targets in absolute form (`GET http://chat.example/socket.io/ HTTP/1.1`), which proxies may send, are written as targets
in origin form before uvicorn, the WebSocket transport or a route sees them.

Reads are small. asyncio and uvloop read up to 256 KB at once, and uvicorn buffers up to 64 KiB more before it stops
reading; all of that would be held for each body that waits for its application.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import struct
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from msgspec import UNSET
from msgspec.json import encode
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from passerby.addresses import ClientAddress
from passerby.errors import Code
from passerby.http.models import Failure
from passerby.limits import AddressCount
from passerby.logs import Sampled
from passerby.socketio.timers import DelayQueue

if sys.platform != "win32":
    import fcntl
    import termios

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from uvicorn.protocols.http.flow_control import FlowControl

    from passerby.socketio.timers import Scheduler, Timer

    ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

log = logging.getLogger(__name__)

PART_TIMEOUT: Final = 10.0
"""Maximum seconds for a request head, from the connection or from the first byte after the previous request; and then
for its body. If the application sets its own pace, the seconds between two parts of the body."""
HEAD_LIMIT: Final = 32 * 1024
"""Maximum bytes of a request head: much more than browsers send, even with a token and cookies."""
TARGET_LIMIT: Final = 8 * 1024
"""Maximum bytes of a request target. Ours are much shorter, and to decode one costs more than to read it."""
LENGTH_DIGITS: Final = 100
"""Maximum digits of a Content-Length. More are no mistake, and Python refuses to read thousands of them."""
MAX_HEADERS: Final = 128
"""Header lines of a request, at most: browsers send about 20, and proxies add some."""
READ_SIZE: Final = 32 * 1024
"""Maximum bytes per read. Reading pauses while a part of a body waits for the application."""
MAX_PIPELINED: Final = 8
"""Maximum requests that wait behind the one being answered. Browsers and proxies send none before the answer."""
LEAST_READ: Final = 4096
"""Bytes that a client must read in a stall timeout, if so many wait: the slowest mobile network is faster."""
REFUSAL_WAIT: Final = 1.0
"""Seconds until a refused connection is answered unasked. An answer before the request would be lost with a reset."""
MAX_REFUSED: Final = 100
"""Maximum refused connections that wait for their request; more are aborted at once."""
_RETRY: Final = 5
"""Seconds after which a refused client may come back."""
_ABSOLUTE: Final = re.compile(rb"(?:https?|wss?)://(?:[^/?#@]*@)?([^/?#@]*)(.*)", re.IGNORECASE | re.DOTALL)
"""RFC 9112 §3.2.2: the host, and the path with the query."""


class _Answer(NamedTuple):
    """An answer without the application."""

    status: str
    code: Code
    message: str


_FULL: Final = _Answer("503 Service Unavailable", Code.UNAVAILABLE, "The server has as many connections as it may")
_TOO_MANY: Final = _Answer("429 Too Many Requests", Code.RATE_LIMITED, "Too many connections from your address")
_BROKEN: Final = _Answer("400 Bad Request", Code.HTTP_ERROR, "The request is malformed")
_LATE: Final = _Answer("408 Request Timeout", Code.REQUEST_TIMEOUT, "The request did not arrive in time")


class Guard:
    """The connections of one server, HTTP and WebSocket alike, and their limits."""

    def __init__(
        self,
        *,
        stall_timeout: float = 10,
        connections: int = 20_000,
        address_connections: int = 1_000,
        address: ClientAddress | None = None,
        scheduler: Scheduler | None = None,
        full: str = "MAX_CONNECTIONS are open",
    ) -> None:
        """Times are in seconds, of `scheduler` or else of the running event loop. `full` is logged at the limit.

        `address` finds the clients behind trusted proxies.

        A proxy uses one connection for many clients, so its connections count only in total. For each client behind
        it, `addresses` counts WebSockets and HTTP requests in progress; see `through_proxy`.
        """
        self.address = address or ClientAddress(())
        self.stall_timeout = stall_timeout
        self.addresses = AddressCount(address_connections, connections)
        self.count = 0
        """Accepted connections."""
        self.refusals: Counter[str] = Counter()
        """Connections and requests that were refused, by code."""
        self.refused = 0
        """Refused connections that are not closed yet."""
        self.buffer = memoryview(bytearray(READ_SIZE))
        self.logger = _SampledLogger()
        self._limit = connections
        self._full = Sampled(log.warning, f"connections refused: {full}")
        self._scheduler = scheduler
        self._loop: _Loop | None = None

    def change(self, connections: int, address_connections: int) -> None:
        """Have other limits from now on. Who is connected stays."""
        self._limit = connections
        self.addresses.change(address_connections, connections)

    def bind(self, loop: asyncio.AbstractEventLoop) -> _Loop:
        """Return what uvicorn's protocols use instead of `loop`. All connections have the same loop."""
        if self._loop is None:
            scheduler = self._scheduler or loop
            self.late: DelayQueue[GuardedHttpProtocol] = DelayQueue(scheduler, PART_TIMEOUT, GuardedHttpProtocol.cut)
            """The connections that wait for the rest of a request."""
            self.unread: DelayQueue[_Writes] = DelayQueue(scheduler, self.stall_timeout, _Writes.check_reader)
            """The connections with bytes that their client has not read yet."""
            self._loop = _Loop(loop, self)
        return self._loop

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> Timer:
        """Call `callback(*arguments)` once, `delay` seconds from now."""
        scheduler = self._scheduler or asyncio.get_running_loop()
        return scheduler.call_at(scheduler.time() + delay, partial(callback, *arguments))

    def extend(self, seconds: float) -> None:
        """Give everyone `seconds` more: the process was paused."""
        if self._loop is not None:
            self.late.extend(seconds)
            self.unread.extend(seconds)

    def enter(self, peer: str) -> Code | None:
        """Count a new connection; or return why it is refused."""
        if self.count >= self._limit:
            self._full.note()
            self.refusals[Code.UNAVAILABLE] += 1
            return Code.UNAVAILABLE
        if not self.address.is_proxy(peer) and not self.addresses.take(peer):
            self.refusals[Code.RATE_LIMITED] += 1
            return Code.RATE_LIMITED
        self.count += 1
        return None

    @contextlib.contextmanager
    def request(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[ASGIApp | None]:
        """Count a request that a proxy passes on, while it is in progress. Yields what answers it if it is refused."""
        client = self.through_proxy(peer, headers)
        if client is None:
            yield None
        elif not self.addresses.take(client):
            self.refusals[Code.RATE_LIMITED] += 1
            yield _refuse_request
        else:
            try:
                yield None
            finally:
                self.addresses.give_back(client)

    def through_proxy(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the address of the client behind a proxy; None if `peer` is the client itself."""
        if not self.address.is_proxy(peer):
            return None
        forwarded = b", ".join(value for name, value in headers if name == b"x-forwarded-for")
        return self.address.of(peer, forwarded.decode("latin-1"))

    def leave(self, peer: str, client: str | None) -> None:
        """An accepted connection has ended; `client` is the one behind a proxy whose WebSocket it was, or None."""
        self.count -= 1
        if not self.address.is_proxy(peer):
            self.addresses.give_back(peer)
        if client is not None:
            self.addresses.give_back(client)


def _in_kernel(transport: asyncio.Transport) -> int:
    """Return the written bytes that the client has not confirmed (tcp(7), SIOCOUTQ); 0 where the system cannot say.

    Without them a slow client would seem to read nothing: the kernel takes more only when a third of its buffer, which
    may have megabytes, is free.
    """
    socket = transport.get_extra_info("socket")
    if socket is None or sys.platform == "win32":
        return 0
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4)))
    except (OSError, ValueError):  # not on this system; or the socket is closed
        return 0
    return int(count)


async def _refuse_request(_scope: object, _receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    body = _refusal(_TOO_MANY, _RETRY)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(_RETRY).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refusal(answer: _Answer, retry_after: int | None) -> bytes:
    wait = UNSET if retry_after is None else retry_after
    return encode(Failure(success=False, message=answer.message, code=answer.code, retry_after=wait))


def http_factory(
    guard: Guard | None = None,
    reads: Callable[[GuardedHttpProtocol, memoryview], asyncio.BufferedProtocol] | None = None,
) -> type[asyncio.Protocol]:
    """Return a protocol factory for `uvicorn.Config(http=…)` of one server.

    `reads(protocol, buffer)` makes what reads for a protocol, if it is not `Reads`.
    """
    guard = guard or Guard()
    reads = reads or Reads

    def make(*arguments: Any, **named: Any) -> asyncio.BaseProtocol:  # noqa: ANN401 - uvicorn's arguments
        return reads(GuardedHttpProtocol(*arguments, guard=guard, **named), guard.buffer)

    return make  # type: ignore[return-value]  # uvicorn only calls it


class Reads(asyncio.BufferedProtocol):
    """Reads into a buffer shared by all connections of an event loop, and passes a copy to the protocol at once."""

    def __init__(self, protocol: GuardedHttpProtocol, buffer: memoryview) -> None:
        """Read into `buffer` for `protocol`."""
        self._protocol = protocol
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """See `asyncio.BufferedProtocol`, as all methods of this class."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:  # noqa: D102 - see `get_buffer`
        self._protocol.data_received(bytes(self._buffer[:nbytes]))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to read."""
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - see `get_buffer`
        self._protocol.connection_lost(exc)

    def eof_received(self) -> None:  # noqa: D102 - see `get_buffer`
        self._protocol.eof_received()

    def pause_writing(self) -> None:  # noqa: D102 - see `get_buffer`
        self._protocol.pause_writing()

    def resume_writing(self) -> None:  # noqa: D102 - see `get_buffer`
        self._protocol.resume_writing()


class _Loop:
    """What uvicorn's protocol needs of its event loop, with the timers of `guard`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, guard: Guard) -> None:
        self.create_task = loop.create_task
        self.call_later = guard.call_later


class _SampledLogger:
    """What uvicorn's protocol needs of its logger. Clients can break requests at will: a line a minute is enough."""

    def __init__(self) -> None:
        own = logging.getLogger("uvicorn.error")
        self.log, self.error, self.info = own.log, own.error, own.info
        self._own = own
        self._broken = Sampled(own.warning, "invalid HTTP requests")

    @property
    def level(self) -> int:
        return self._own.level

    def warning(self, *_message: object) -> None:
        self._broken.note()


class _Writes(asyncio.Transport):
    """The transport as uvicorn sees it: aborts the connection of a client that does not read what is written."""

    def __init__(self, transport: asyncio.Transport, queue: DelayQueue[_Writes]) -> None:
        super().__init__()
        self._transport = transport
        self._queue = queue
        self._written = 0
        self._unread = 0
        """Bytes that waited for the client at the last look, of which it must have read some at the next one."""
        self._read = 0
        """Bytes that the client had received at the last look."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._transport.is_closing():
            return  # uvicorn learns of it a moment later
        self._written += len(data)
        self._transport.write(data)
        if self not in self._queue:
            self._look_again()

    def check_reader(self) -> None:
        """Abort the connection if the client reads nothing, or next to nothing, of what waits for it."""
        if not self._transport.get_write_buffer_size():
            return  # the rest is the kernel's
        if self._written - self._waiting() - self._read < min(self._unread, LEAST_READ):
            self._transport.abort()
        else:
            self._look_again()

    def stop_looking(self) -> None:
        """The connection has ended, or is no longer HTTP."""
        self._queue.discard(self)

    def _look_again(self) -> None:
        self._unread = self._waiting()
        self._read = self._written - self._unread
        self._queue.add(self)

    def _waiting(self) -> int:
        """Return the bytes that the client has not received."""
        return self._transport.get_write_buffer_size() + _in_kernel(self._transport)

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - asyncio's signature
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


class GuardedHttpProtocol(HttpToolsProtocol):
    """Ends connections that are too many, and those of clients that send or read too slowly, or too much at once.

    uvicorn has no such limits.
    """

    def __init__(self, *arguments: Any, guard: Guard, **named: Any) -> None:  # noqa: ANN401 - uvicorn's arguments
        """`guard` has the limits of the server."""
        super().__init__(*arguments, **named)
        self.logger = cast("logging.Logger", guard.logger)
        self.loop = cast("asyncio.AbstractEventLoop", guard.bind(self.loop))
        self._guard = guard
        self._refusal: Code | None = None
        self._peer = ""
        self._client: str | None = None
        """The client behind a proxy whose WebSocket this connection is, while it is counted."""
        self._late = guard.late
        self._answer_soon: Timer | None = None
        """To answer a refused connection."""
        self._in_head = False
        self._in_message = False
        """Whether a request has begun and is not complete."""
        self._fed = 0
        """Bytes received since the head began; also counts an unfinished header, which the parser buffers."""
        self._parsed = 0
        """Bytes of the parsed parts of the head."""
        self._lines = 0
        """Header lines of the head."""
        self._own_pace = False
        """Whether the application limits the time of this request's body."""
        self._requests = 0
        self._answering: RequestResponseCycle | None = None
        """The request that was started last. uvicorn knows only the one that arrived last, which may still wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See `asyncio.BaseProtocol`."""
        guard = self._guard
        self._wire = transport
        self._writes = _Writes(transport, guard.unread)
        super().connection_made(self._writes)
        self._peer = self.client[0] if self.client else ""
        self._refusal = guard.enter(self._peer)
        if self._refusal is None:
            self._expect_head()
        elif guard.refused >= MAX_REFUSED:
            guard.refused += 1
            transport.abort()
        else:
            guard.refused += 1
            self._answer_soon = self.loop.call_later(REFUSAL_WAIT, self._refuse)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._late.discard(self)
        self._writes.stop_looking()
        self._forget_refusal()
        self.pipeline.clear()
        self._leave()
        self._tell_application()
        super().connection_lost(exc)
        self._release()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's signature
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def is_answering(self) -> bool:
        """Return whether the application answers a request."""
        return self._answering is not None and not self._answering.response_complete

    def _tell_application(self) -> None:
        """The client has gone: whoever answers it must not wait for it any longer."""
        cycle = self._answering
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def _release(self) -> None:
        """Break all reference cycles, which the garbage collector would need more time for than a request takes."""
        own: Any = self
        own.parser = own.scope = own.cycle = None
        self._answering = None

    def _leave(self) -> None:
        """The connection has ended. It is no longer counted, whatever it was."""
        guard = self._guard
        if self._refusal is not None:
            guard.refused -= 1
            return
        guard.leave(self._peer, self._client)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._refusal is not None:
            self._refuse()
            return
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, unlike uvicorn's annotation
        if self not in self._late and (cycle is None or cycle.response_complete):
            self._expect_head()
        was_in_head = self._in_head
        super().data_received(data)
        if self._in_head and was_in_head:
            self._fed += len(data)
            if self._fed > HEAD_LIMIT:
                self.transport.abort()
        elif self._own_pace and not self._in_head and self in self._late:
            self._late.add(self)

    @property
    def is_between_requests(self) -> bool:
        """Return whether all that came is answered, and the answers have left: the connection could begin here."""
        if self._refusal is not None or self._in_message or self.pipeline or self.is_answering:
            return False
        return not self._wire.is_closing() and not self._wire.get_write_buffer_size()

    @property
    def reads(self) -> asyncio.BaseProtocol:
        """Return what reads for this protocol."""
        return self._wire.get_protocol()

    def head_begins(self) -> None:
        """A part of a head has come that is held back: the time for it begins."""
        self._unset_keepalive_if_required()
        if self not in self._late:
            self._expect_head()

    def later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds from now."""
        return self._guard.call_later(delay, callback)

    # ── refused connections ───────────────────────────────────────────────────────────────────────

    def _refuse(self) -> None:
        self._forget_refusal()
        if self._refusal is not None and not self._wire.is_closing():
            self._answer(_FULL if self._refusal is Code.UNAVAILABLE else _TOO_MANY, _RETRY)

    def _forget_refusal(self) -> None:
        if self._answer_soon is not None:
            self._answer_soon.cancel()
            self._answer_soon = None

    def _answer(self, answer: _Answer, retry_after: int | None = None) -> None:
        """Answer without the application, and close the connection."""
        body = _refusal(answer, retry_after)
        retry = "" if retry_after is None else f"retry-after: {retry_after}\r\n"
        head = (
            f"HTTP/1.1 {answer.status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{retry}"
            "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _count_and_answer(self, answer: _Answer) -> None:
        self._guard.refusals[answer.code] += 1
        self._answer(answer)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Answer a broken request, unless the connection is already cut, or another answer has begun."""
        if self.is_answering:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._count_and_answer(_BROKEN)

    # ── request heads ─────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """A head begins. Applications get what ASGI lacks: to abort the connection, and to set a body's pace."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self.transport.abort()
            raise ValueError("too many requests before an answer")
        self._in_head = self._in_message = True
        self._own_pace = False
        self._fed = self._parsed = self._lines = 0
        super().on_message_begin()
        own: dict[str, object] = self.scope  # type: ignore[assignment]  # a TypedDict without these keys
        own["passerby.cut"] = self.transport.abort
        self._requests += 1
        own["passerby.own_pace"] = partial(self._leave_pace_to_application, self._requests)

    def on_url(self, url: bytes) -> None:
        """Count a part of the request target."""
        self._count(len(url))
        super().on_url(url)
        if len(self.url) > TARGET_LIMIT:
            raise ValueError("request target too long")  # as below

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._lines += 1
        if self._lines > MAX_HEADERS:
            raise ValueError("too many header lines")  # as below
        if len(value) > LENGTH_DIGITS and name.lower() == b"content-length":
            raise ValueError("Content-Length too long")  # as below
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > HEAD_LIMIT:
            raise ValueError("request head too large")  # uvicorn answers 400 and closes

    def on_headers_complete(self) -> None:
        """The head is complete; wait for the body."""
        self._in_head = False
        self._late.add(self)
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

    # ── request bodies ────────────────────────────────────────────────────────────────────────────

    def _leave_pace_to_application(self, request: int) -> None:
        """From now on the whole body of that request may take longer; only a pause is limited."""
        self._own_pace = self._requests == request

    def on_body(self, body: bytes) -> None:
        """Pause reading until the application asks for more of the body."""
        super().on_body(body)
        if self.cycle.body and not self.cycle.response_complete:
            self.flow.pause_reading()  # resumed when the application asks for more

    def on_message_complete(self) -> None:
        """The body is complete; stop the timeout."""
        self._in_message = False
        self._late.discard(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """If the body is not complete yet, nobody reads it any more: its time is limited again."""
        if self._own_pace and not self._in_head and self in self._late:
            self._own_pace = False
            self._late.add(self)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Pass the connection on to the WebSocket transport, which has its own limits. It is still counted.

        Only if nothing else is to be sent: the WebSocket would not know who waits until it is.
        """
        self._late.discard(self)
        if self.is_answering or self._wire.get_write_buffer_size():
            self.transport.abort()
            return
        guard = self._guard
        client = guard.through_proxy(self._peer, self.headers)
        if client is not None and not guard.addresses.take(client):
            guard.refusals[Code.RATE_LIMITED] += 1
            self._answer(_TOO_MANY, _RETRY)
            return
        self._client = client
        self._writes.stop_looking()
        self.transport = self._wire
        super().handle_websocket_upgrade()  # if it fails, the connection ends here, in `connection_lost`
        upgraded: Any = self._wire.get_protocol()
        # Not a method of this object, which has done its work: it must not stay in memory with each guest.
        upgraded.on_lost = partial(guard.leave, self._peer, client)
        self._release()

    def _expect_head(self) -> None:
        self._in_head = True
        self._fed = 0
        self._late.add(self)

    def cut(self) -> None:
        """The rest of a request has not come in time."""
        flow: FlowControl = self.flow
        if flow.read_paused:
            self._late.add(self)  # the application does not read; the client is not at fault
        elif self._in_head or self.cycle.response_started or self.pipeline:
            self.transport.abort()
        else:
            self._count_and_answer(_LATE)
