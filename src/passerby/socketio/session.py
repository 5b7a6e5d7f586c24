"""An Engine.IO session: one client, over long polling, over WebSocket, or upgrading between them.

State:  OPEN ──upgrade: probe──▶ UPGRADING ──"5"──▶ OPEN          any ──close──▶ CLOSED
During polling, and until an upgrade is complete, packets wait in a bounded outbox for the next poll.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from passerby.socketio import closing
from passerby.socketio.engineio import (
    CLOSE,
    NOOP,
    PING,
    PROBE,
    PROBE_ANSWER,
    UPGRADE,
    Binary,
    ProtocolError,
    decode_payload,
    encode_payload,
)
from passerby.socketio.flood import Pace
from passerby.socketio.frames import TEXT_HEADERS, binary_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from passerby.socketio.closing import Closing
    from passerby.socketio.engine import Engine
    from passerby.socketio.websocket import WebSocket


class Receiver(Protocol):
    """Receives what the client sends; created by the engine's `accept`."""

    def on_text(self, packet: str) -> None:
        """Handle a text message with its type `4` in front (removing it would copy every message).

        May raise ProtocolError, which closes the session.
        """

    def on_binary(self, data: bytes) -> None:
        """Handle a binary message. May raise ProtocolError, which closes the session."""

    def on_close(self, reason: Closing) -> None:
        """Called once when the session has closed; nothing can be sent any more."""


class ClientSession(Protocol):
    """What a Socket.IO client needs of its session, which may be on another node; see Session."""

    is_passed_on: ClassVar[bool]
    """Whether it is another node's, which passes on what comes."""
    state: State

    @property
    def address(self) -> str:
        """The client's address."""

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the handshake."""

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""

    def send(self, packet: bytes) -> None:
        """Send one packet: text with its type in front, or `Binary`. Ignored when the session is closed."""

    def send_event(self, prefix: bytes, argument: bytes, next_prefix: bytes = b"", next_argument: bytes = b"") -> None:
        """Send the text packet `prefix + argument + b"]"`, and optionally a second one."""

    async def drain(self) -> None:
        """Wait until most sent packets are read."""

    def hold(self, size: int) -> None:
        """The client keeps `size` bytes of a message that is not complete."""

    def close(self, reason: Closing) -> None:
        """Close the session. Idempotent."""

    def abort(self) -> None:
        """End the session without a word, when `close` fails."""


class _Nobody:
    """Receives what still comes to a closed session."""

    def on_text(self, packet: str) -> None:
        pass

    def on_binary(self, data: bytes) -> None:
        pass

    def on_close(self, reason: Closing) -> None:
        pass


_NOBODY: Final = _Nobody()


class State(Enum):
    """State of a session."""

    OPEN = "open"
    UPGRADING = "upgrading"
    CLOSED = "closed"


class Session:
    """One client. `address` is its address as determined by the engine, `query` the query of its handshake."""

    __slots__ = (
        "_awaits_pong",
        "_candidate",
        "_drained",
        "_engine",
        "_outbox",
        "_outbox_bytes",
        "_poll",
        "_websocket",
        "address",
        "pace",
        "ping_due",
        "query",
        "receiver",
        "sid",
        "state",
    )

    is_passed_on: ClassVar[bool] = False
    receiver: Receiver

    def __init__(self, engine: Engine, sid: str, address: str, query: Mapping[str, str]) -> None:
        """Start as a polling session; `attach` turns it into a WebSocket session."""
        self._engine = engine
        self.sid = sid
        self.address = address
        self.query = query
        self.state = State.OPEN
        self._websocket: WebSocket | None = None
        self._candidate: WebSocket | None = None
        self._poll: asyncio.Future[bytes] | None = None
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._awaits_pong = False
        self._drained: asyncio.Future[None] | None = None
        self.pace = Pace(engine.options.packet_rate)
        self.ping_due = 0.0

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        return "polling" if self._websocket is None else "websocket"

    @property
    def unread(self) -> int:
        """Return the bytes that wait for a poll."""
        return self._outbox_bytes

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    def send(self, packet: bytes) -> None:
        """Send one packet: text with its type in front, or `Binary`. Ignored when the session is closed.

        Over WebSocket, all packets of one event loop iteration are sent in one write at its end: a write costs more
        than everything else about a message.
        """
        if self._websocket is None:
            self._queue(packet)
            return
        size = len(packet)
        frames = self._websocket.frames
        if not frames:
            self._engine.turn.flush_soon(self._websocket)
        frames += (binary_header(size) if isinstance(packet, Binary) else TEXT_HEADERS[size], packet)

    def send_binary(self, data: bytes) -> None:
        """Send one binary message."""
        self.send(Binary(data))

    def send_event(self, prefix: bytes, argument: bytes, next_prefix: bytes = b"", next_argument: bytes = b"") -> None:
        """Send the text packet `prefix + argument + b"]"` (see `packets.event_prefix`), and optionally a second one.

        This is the hot path: the common work for a message and its receipt is done once.
        """
        websocket = self._websocket
        if websocket is None:
            self._queue(b"".join((prefix, argument, b"]")))
            if next_prefix:
                self._queue(b"".join((next_prefix, next_argument, b"]")))
            return
        frames = websocket.frames
        if not frames:
            self._engine.turn.flush_soon(websocket)
        header = TEXT_HEADERS[len(prefix) + len(argument) + 1]
        if next_prefix:
            next_header = TEXT_HEADERS[len(next_prefix) + len(next_argument) + 1]
            frames += (header, prefix, argument, b"]", next_header, next_prefix, next_argument, b"]")
        else:
            frames += (header, prefix, argument, b"]")

    async def drain(self) -> None:
        """Wait until most sent packets are read: a WebSocket's buffer is low, or a poll has emptied the outbox."""
        if self._websocket is not None:
            self._websocket.flush()
        waiting = self._outbox if self._websocket is None else self._websocket.paused
        if self.state is not State.CLOSED and waiting:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def on_drained(self) -> None:
        """Wake all callers of `drain`."""
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _queue(self, packet: bytes) -> None:
        if self.state is State.CLOSED:
            return
        self._outbox.append(packet)
        self._outbox_bytes += len(packet)
        if self._poll is not None and not self._poll.done():
            # At the end of the event loop iteration, so that all its packets share one response.
            asyncio.get_running_loop().call_soon(self._answer_poll)
        elif self._outbox_bytes > self._engine.options.outbox_limit:
            self.close(closing.OUTBOX_OVERFLOW)
        elif len(self._outbox) == 1:
            self._engine.stalled.add(self)

    def _answer_poll(self) -> None:
        poll = self._poll
        if poll is not None and self._outbox and not poll.done():
            poll.set_result(self._drain())

    def _drain(self) -> bytes:
        body = encode_payload(self._outbox)
        self._outbox.clear()
        self._outbox_bytes = 0
        self._engine.stalled.discard(self)
        self.on_drained()
        return body

    # ── heartbeat (driven by the engine's queues) ─────────────────────────────────────────────────

    def ping(self) -> None:
        """Send a ping; the pong is due within the ping timeout."""
        self._awaits_pong = True
        self.send(PING)

    def expire(self) -> None:
        """Called when the pong is missing. Waiting packets are dropped: the client is gone."""
        self._outbox.clear()
        self.close(closing.PING_TIMEOUT)

    def _on_pong(self) -> None:
        if self._awaits_pong:
            self._awaits_pong = False
            self._engine.pong_received(self)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def receive_text(self, packet: str) -> None:
        """Handle one text packet with its type in front. An invalid packet closes the session."""
        try:
            kind = packet[:1]
            if kind == "4":
                self.receiver.on_text(packet)
            elif kind == "3":
                self._on_pong()
            elif kind == "1":
                self.close(closing.TRANSPORT_CLOSE, answer=NOOP)
            elif kind != "6":
                self.close(closing.PARSE_ERROR)
        except ProtocolError:
            self.close(closing.PARSE_ERROR)

    def receive_binary(self, data: bytes) -> None:
        """Handle one binary message."""
        try:
            self.receiver.on_binary(data)
        except ProtocolError:
            self.close(closing.PARSE_ERROR)

    def hold(self, size: int) -> None:
        """The receiver keeps `size` bytes of a message that is not complete. A WebSocket then takes smaller ones."""
        if self._websocket is not None:
            self._websocket.hold(size)

    def receive_payload(self, body: str) -> None:
        """Handle the body of a POST. If it is malformed, the session is closed and ProtocolError is raised."""
        try:
            for packet in decode_payload(body):
                if self.state is State.CLOSED or self._websocket is not None:
                    return
                if not self.pace.take(len(packet)):
                    self.close(closing.TOO_MANY_PACKETS)
                elif isinstance(packet, str):
                    self.receive_text(packet)
                else:
                    self.receive_binary(packet)
        except ProtocolError:
            self.close(closing.PARSE_ERROR)
            raise

    # ── long polling ──────────────────────────────────────────────────────────────────────────────

    def start_poll(self) -> asyncio.Future[bytes] | None:
        """Start a poll; return a future of the response body. A second concurrent poll closes the session: None."""
        if self._poll is not None:
            self.close(closing.DUPLICATE_POLL, answer=CLOSE)
            return None
        poll: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._poll = poll
        if self._outbox:
            poll.set_result(self._drain())
        elif self.state is State.UPGRADING:
            poll.set_result(NOOP)
        return poll

    def end_poll(self, poll: asyncio.Future[bytes]) -> None:
        """End a poll. If its request was aborted, packets may be lost, so the session is closed."""
        if self._poll is poll:
            self._poll = None
        if not poll.done():
            poll.cancel()
            self.close(closing.TRANSPORT_ERROR)
        elif self._outbox and self.state is not State.CLOSED:
            self._engine.stalled.add(self)

    # ── WebSocket and upgrade ─────────────────────────────────────────────────────────────────────

    def attach(self, websocket: WebSocket) -> None:
        """Use `websocket` as transport."""
        self._websocket = websocket
        self._engine.websockets += 1
        websocket.bind(self.receive_text, self.receive_binary, self._finish, self.on_drained)

    @property
    def can_upgrade(self) -> bool:
        """Whether a WebSocket may probe: the session is polling, and no other WebSocket is probing."""
        return self._websocket is None and self.state is State.OPEN

    def start_upgrade(self, websocket: WebSocket) -> None:
        """Let `websocket` probe. Only if `can_upgrade`."""
        self._candidate = websocket
        self.state = State.UPGRADING
        self._engine.upgrading.add(self)
        websocket.bind(self._on_probe, self._on_probe_binary, self._on_candidate_closed, self.on_drained)

    def _on_probe(self, packet: str) -> None:
        candidate = self._candidate
        if candidate is None:
            return
        if packet == PROBE:
            candidate.write(TEXT_HEADERS[len(PROBE_ANSWER)] + PROBE_ANSWER)
            if self._poll is not None and not self._poll.done():
                self._poll.set_result(NOOP)
        elif packet == UPGRADE:
            self._complete_upgrade(candidate)
        else:
            self.abandon_upgrade()

    def _complete_upgrade(self, websocket: WebSocket) -> None:
        self._engine.upgrading.discard(self)
        self._candidate = None
        self.state = State.OPEN
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(NOOP)
        waiting, self._outbox = self._outbox, []
        self._outbox_bytes = 0
        self._engine.stalled.discard(self)
        self.attach(websocket)
        for packet in waiting:
            self.send(packet)
        self.on_drained()  # the outbox is empty now; whoever waits in `drain` looks at the WebSocket next

    def _on_probe_binary(self, _data: bytes) -> None:
        self.abandon_upgrade()

    def abandon_upgrade(self) -> None:
        """Give up on the probing WebSocket and continue polling."""
        candidate, self._candidate = self._candidate, None
        self._engine.upgrading.discard(self)
        if candidate is not None:
            self.state = State.OPEN
            candidate.close(closing.UPGRADE_NOT_COMPLETED)

    def _on_candidate_closed(self, _reason: Closing) -> None:
        if self._candidate is not None:
            self.abandon_upgrade()

    # ── closing ───────────────────────────────────────────────────────────────────────────────────

    def close(self, reason: Closing, *, answer: bytes = CLOSE) -> None:
        """Close the session: a waiting poll gets `answer`, a WebSocket a close frame with `reason`. Idempotent.

        Packets in the outbox are still sent: over WebSocket before the close frame, over polling with the next poll
        if it comes soon.
        """
        if self.state is State.CLOSED:
            return
        if self._websocket is not None:
            self._websocket.close(reason)
        elif self._poll is not None and not self._poll.done():
            self._poll.set_result(encode_payload([*self._outbox, answer]))
            self._outbox.clear()
        elif self._outbox or answer is NOOP:
            # The last poll of a client that has closed the session may still be in flight.
            self._engine.keep_final_payload(self.sid, encode_payload([*self._outbox, answer]))
        self._finish(reason)

    def abort(self) -> None:
        """End the session without a word, when `close` fails."""
        if self._websocket is not None:
            self._websocket.abort()
        self._finish(closing.SERVER_ERROR)

    def _finish(self, reason: Closing) -> None:
        if self.state is State.CLOSED:
            return
        if self._candidate is not None:
            self.abandon_upgrade()
        self.state = State.CLOSED
        # Sessions, transports and receivers reference each other. Breaking the cycles frees them at once, without the
        # garbage collector.
        self._engine.websockets -= self._websocket is not None
        self._websocket = None
        receiver, self.receiver = self.receiver, _NOBODY
        self._outbox.clear()
        self.on_drained()
        self._engine.forget(self, reason)
        receiver.on_close(reason)
