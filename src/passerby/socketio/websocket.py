"""The WebSocket transport: picows inside uvicorn, on the same port as HTTP.

For an upgrade request, uvicorn creates an object of our class and calls `connection_made(transport)`,
`data_received(request head)` and `transport.set_protocol(it)`. picows' WSProtocol is an `asyncio.BufferedProtocol`:
passing it the head through `get_buffer` and `buffer_updated` makes it a complete endpoint. Both versions are pinned;
tests/socketio/test_websocket.py fails if either changes this.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import socket
from typing import TYPE_CHECKING, Any, Final

from picows import WSAutoPingStrategy, WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stubs

from passerby.socketio import closing
from passerby.socketio.flood import BYTES_PER_UNIT, STRETCH, Pace
from passerby.socketio.frames import pong_frame
from passerby.socketio.handshake import BAD_REQUEST, Refusal, Request, join_headers, parse_query

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from uvicorn.server import ServerState

    from passerby.socketio.closing import Closing
    from passerby.socketio.engine import Engine

_picows_logger = logging.getLogger("passerby.socketio.picows")
# picows logs peers' addresses at INFO and malformed frames at ERROR. Addresses must not be logged, and malformed frames
# are the client's fault and already counted as closed sessions.
_picows_logger.setLevel(logging.CRITICAL + 1)
# An adapter, because picows creates a child logger per connection from a `logging.Logger`.
_SILENT: Final = logging.LoggerAdapter(_picows_logger)

_TEXT: Final = WSMsgType.TEXT
_WRONG_VERSION: Final = Refusal(3, "bad_request", "Upgrade Required", status=426)
_READ_BUFFER: Final = 2048
_RECEIVE_BUFFER: Final = 64 * 1024
"""Bytes that the kernel keeps for a WebSocket (Linux: twice as many); a chat needs a few."""


_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")
"""RFC 6455 §4.1: 16 bytes in base64."""


class WebSocket(WSListener):
    """One WebSocket. Received frames go to the callbacks of `bind`; sent frames go through a bounded buffer."""

    __slots__ = (
        "_engine",
        "_fragments",
        "_fragments_are_text",
        "_held",
        "_limit",
        "_max_payload",
        "_on_closed",
        "_on_drained",
        "_pace",
        "_pong",
        "_request",
        "_turn",
        "_wire",
        "_ws",
        "closed",
        "frames",
        "on_binary",
        "on_text",
        "paused",
    )

    _ws: WSTransport
    _wire: asyncio.Transport
    on_text: Callable[[str], None]
    on_binary: Callable[[bytes], None]
    _on_closed: Callable[[Closing], None]
    _on_drained: Callable[[], None]

    def __init__(self, engine: Engine, request: Request) -> None:
        """Serve `request`, which the engine has checked."""
        self._engine = engine
        self._turn = engine.turn
        self._request: Request | None = request
        self._limit = engine.options.outbox_limit
        self._max_payload = engine.options.max_payload
        self._fragments: bytearray | None = None
        self._fragments_are_text = False
        self._pace = Pace(engine.options.packet_rate)
        self.frames: list[bytes] = []
        """Frames of this event loop iteration, in pieces. Code that adds the first one calls `flush_soon`."""
        self.closed = False
        self._held = 0
        """Bytes of an incomplete message that the receiver keeps."""
        self._pong: bytes | None = None
        """The last pong; another one replaces it while it is the last of `frames`."""
        self.paused = False
        """Whether the client reads too slowly: the write buffer is above its high-water mark."""

    def bind(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_closed: Callable[[Closing], None],
        on_drained: Callable[[], None],
    ) -> None:
        """Set the callbacks: for messages, for the end of the connection, and for when the client reads again."""
        self.on_text = on_text
        self.on_binary = on_binary
        self._on_closed = on_closed
        self._on_drained = on_drained

    @property
    def unread(self) -> int:
        """Return the bytes of the write buffer."""
        return self._wire.get_write_buffer_size()

    # ── outgoing ──────────────────────────────────────────────────────────────────────────────────

    def flush(self) -> None:
        """Write `frames`; drop them when closed. Too many unread bytes close the session."""
        data = b"".join(self.frames)
        self.frames.clear()
        if self.closed or self._ws.is_close_frame_sent:
            return
        self._wire.write(data)
        if self.paused and self._wire.get_write_buffer_size() > self._limit:
            self.close(closing.OUTBOX_OVERFLOW)

    def write(self, frame: bytes) -> None:
        """Write a whole frame now, after all earlier ones."""
        self.frames.append(frame)
        self.flush()

    def close(self, reason: Closing) -> None:
        """Start the closing handshake after all earlier frames; abort the connection if it takes too long."""
        self._turn.handle_arrived()  # messages of this client that arrived before the close
        if self.closed:
            return
        if self.frames:
            self.flush()
        self.closed = True
        self._engine.stalled.discard(self)
        self._engine.closing.add(self)
        self._ws.send_close(WSCloseCode(reason.websocket), reason.code.encode())
        self._on_closed(reason)

    def abort(self) -> None:
        """Close the TCP connection without closing handshake."""
        self._ws.disconnect(graceful=False)

    # ── called by picows ──────────────────────────────────────────────────────────────────────────

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open a session, or start to probe for a polling session."""
        self._ws = transport
        self._wire = transport.underlying_transport
        engine, request = self._engine, self._request
        assert request is not None  # noqa: S101 - set in __init__, dropped here
        self._request = None
        session = engine.sessions.get(request.query.get("sid", ""))
        if session is None:
            engine.open(request, self)
        else:
            session.start_upgrade(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle one frame of any kind."""
        kind, size, pace = frame.msg_type, frame.payload_size, self._pace
        if self.closed or size > self._max_payload:
            self._take_late(transport, kind)
            return
        pace.taken += 1 + size // BYTES_PER_UNIT  # `Pace.take`, inlined
        if pace.taken >= STRETCH and not pace.in_time():
            self.close(closing.TOO_MANY_PACKETS)
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(closing.EXTENSION_NOT_AGREED)
        elif kind is _TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self.close(closing.TEXT_NOT_UTF8)
                return
            arrived = self._turn.arrived  # `_arrive`, inlined
            if not arrived:
                self._turn.take()
            arrived.append((self, text))
        else:
            self._take_other(kind, frame)

    def _arrive(self, data: str | bytes) -> None:
        """Queue a message; it is handled with all others of this event loop iteration, see Turn."""
        arrived = self._turn.arrived
        if not arrived:
            self._turn.take()
        arrived.append((self, data))

    def _take_other(self, kind: WSMsgType, frame: WSFrame) -> None:
        """Handle a frame that is not an unfragmented text message."""
        if kind == WSMsgType.CLOSE:
            self._answer_close(frame.get_close_code())
        elif kind == WSMsgType.BINARY and frame.fin and self._fragments is None:
            self._arrive(frame.get_payload_as_bytes())
        elif kind == WSMsgType.PING:
            self._answer_ping(pong_frame(frame.get_payload_as_bytes()))
        elif kind != WSMsgType.PONG:
            self._take_fragment(kind, frame)

    def _answer_ping(self, pong: bytes) -> None:
        """Answer only the last of several pings that arrive together (RFC 6455 §5.5.3)."""
        frames = self.frames
        if frames and frames[-1] is self._pong:
            frames[-1] = pong
        else:
            if not frames:
                self._turn.flush_soon(self)
            frames.append(pong)
        self._pong = pong

    def _take_late(self, transport: WSTransport, kind: WSMsgType) -> None:
        """Drop a frame after our close frame, or a frame that picows has refused as too big but still delivers."""
        if not self.closed:
            self.close(closing.MESSAGE_TOO_BIG)
        elif kind == WSMsgType.CLOSE:
            transport.disconnect()

    def _answer_close(self, code: WSCloseCode) -> None:
        self._turn.handle_arrived()
        if self.closed:
            return
        self.closed = True
        self._engine.closing.add(self)
        self._ws.send_close(WSCloseCode.OK if code == WSCloseCode.NO_INFO else code)
        self._ws.disconnect()
        self._on_closed(closing.TRANSPORT_CLOSE)

    def _take_fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        """Collect a fragmented message (RFC 6455 §5.4)."""
        if (self._fragments is None) == (kind == WSMsgType.CONTINUATION):
            self.close(closing.FRAGMENTS_OUT_OF_ORDER)
            return
        if self._fragments is None:
            self._fragments = bytearray()
            self._fragments_are_text = kind == _TEXT
        fragments = self._fragments
        fragments += frame.get_payload_as_memoryview()
        if len(fragments) + self._held > self._max_payload:
            self.close(closing.MESSAGE_TOO_BIG)
        elif frame.fin:
            self._fragments = None
            self._take_message(fragments)

    def hold(self, size: int) -> None:
        """The receiver keeps `size` bytes of an incomplete message. With fragments they must not exceed a message."""
        self._held = size
        if self._fragments is not None and len(self._fragments) + size > self._max_payload:
            self.close(closing.MESSAGE_TOO_BIG)

    def _take_message(self, data: bytearray) -> None:
        if not self._fragments_are_text:
            self._arrive(bytes(data))
            return
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(closing.TEXT_NOT_UTF8)
        else:
            self._arrive(text)

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        """Called when the TCP connection is closed."""
        self._turn.handle_arrived()
        self._engine.closing.discard(self)
        self._engine.stalled.discard(self)
        if not self.closed:
            self.closed = True
            self._on_closed(closing.TRANSPORT_CLOSE)
        self.bind(_ignore, _ignore, _ignore, _ignore)  # breaks the reference cycle with the session

    def pause_writing(self) -> None:
        """Called when the client does not read; the stall timeout starts."""
        self.paused = True
        if not self.closed:
            self._engine.stalled.add(self)

    def resume_writing(self) -> None:
        """Called when the client reads again."""
        self.paused = False
        self._engine.stalled.discard(self)
        self._on_drained()


def _ignore(*_data: object) -> None:
    pass


class WebSocketProtocol(WSProtocol):  # type: ignore[misc]  # picows' classes are untyped to mypy
    """Created by uvicorn for an upgrade request. Refused requests are answered here, before picows sees them."""

    def __init__(self, engine: Engine, server_state: ServerState) -> None:
        """Serve one connection of `engine`."""
        super().__init__(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=self._listener,
            logger=_SILENT,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # the head is complete at this point
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,  # pongs are sent by `WebSocket`, limited by the outbox
            max_frame_size=engine.options.max_payload,
            extra_headers=None,
            read_buffer_init_size=_READ_BUFFER,
        )
        self._engine = engine
        self.on_lost: Callable[[], object] = _ignore
        """Called once when the connection has ended; set by whoever counts connections."""
        self._connections: set[Any] = server_state.connections
        self._request: Request | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_made(transport)
        self._connections.add(self)
        # picows' buffer doubles with each read that fills it, and never shrinks: let no read be large.
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):  # the client has gone already
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._connections.discard(self)
        self.on_lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops, after the engine has closed its sessions."""
        if self.listener is not None:
            self.listener.close(closing.SERVER_SHUTTING_DOWN)

    def data_received(self, head: bytes) -> None:
        """Handle the request head that uvicorn passes."""
        request, path, headers = _parse_head(head, self.transport.underlying_transport)
        engine = self._engine
        if path.removeprefix(engine.options.root_path).rstrip("/") != engine.options.path.rstrip("/"):
            refusal: Refusal | None = Refusal(3, "not_found", "Not found", status=404)
        elif headers.get(b"sec-websocket-version") != b"13":
            refusal = _WRONG_VERSION
        elif not headers.get(b"host") or not _KEY.fullmatch(headers.get(b"sec-websocket-key", b"")):
            refusal = BAD_REQUEST
        else:
            refusal = engine.check(request)
        if refusal is not None:
            self._refuse(refusal)
            return
        self._request = request
        self._feed(_picows_head(headers))

    def _listener(self, _upgrade: object) -> WebSocket:
        request, self._request = self._request, None
        assert request is not None  # noqa: S101 - picows calls it once, after data_received
        return WebSocket(self._engine, request)

    def _feed(self, data: bytes) -> None:
        while data:
            buffer = self.get_buffer(len(data))
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            self.buffer_updated(count)
            data = data[count:]

    def _refuse(self, refusal: Refusal) -> None:
        body = refusal.body()
        retry = f"Retry-After: {math.ceil(refusal.retry_after)}\r\n" if refusal.retry_after is not None else ""
        head = (
            f"HTTP/1.1 {refusal.status} {refusal.message}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{retry}Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n"
        )
        wire = self.transport.underlying_transport
        wire.write(head.encode("latin-1") + body)
        wire.close()


def _parse_head(head: bytes, wire: asyncio.Transport) -> tuple[Request, str, dict[bytes, bytes]]:
    request_line, *lines = head.split(b"\r\n")
    method, target, _ = request_line.split(b" ", 2)
    fields = (line.partition(b":") for line in lines if line)
    headers = join_headers((name, value.strip()) for name, _, value in fields)
    path, _, query = target.decode("latin-1").partition("?")
    peer = wire.get_extra_info("peername")
    request = Request(
        method=method.decode("latin-1"),
        query=parse_query(query),
        headers=headers,
        peer=str(peer[0]) if isinstance(peer, tuple) else "",
        websocket=True,
    )
    return request, path, headers


def _picows_head(headers: dict[bytes, bytes]) -> bytes:
    """Return the head that picows accepts: no extra headers, `Connection: Upgrade` only (Firefox adds keep-alive)."""
    wanted = (b"host", b"upgrade", b"sec-websocket-key", b"sec-websocket-version")
    lines = [name + b": " + headers[name] for name in wanted if name in headers]
    return b"\r\n".join([b"GET / HTTP/1.1", b"Connection: Upgrade", *lines]) + b"\r\n\r\n"


def protocol_factory(engine: Engine) -> Callable[..., WebSocketProtocol]:
    """Return the value for uvicorn's `ws` setting: it creates the protocol of each upgrade request."""

    def make(*, server_state: ServerState, **_: object) -> WebSocketProtocol:
        return WebSocketProtocol(engine, server_state)

    return make
