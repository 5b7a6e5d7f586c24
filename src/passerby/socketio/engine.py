"""The Engine.IO server: its sessions, its limits and its clocks. The transports ask it, and feed it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from passerby.socketio import closing, handshake
from passerby.socketio.engineio import PROTOCOL, Open
from passerby.socketio.origins import Origins
from passerby.socketio.session import Session
from passerby.socketio.timers import DelayQueue
from passerby.socketio.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.socketio.closing import Closing
    from passerby.socketio.handshake import Refusal, Request
    from passerby.socketio.session import Receiver
    from passerby.socketio.websocket import WebSocket

Seconds = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(gt=0)]


class Options(Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes."""

    path: str = "/socket.io/"
    ping_interval: Seconds = 25
    ping_timeout: Seconds = 20
    upgrade_timeout: Seconds = 10
    connect_timeout: Seconds = 10
    """From the open packet to the first CONNECT, and for a session left without a namespace."""
    max_payload: Bytes = 1_000_000
    """One message, one WebSocket frame, one POST."""
    outbox_limit: Bytes = 256 * 1024
    """Bytes that may wait for one client to read them."""
    stall_timeout: Seconds = 10
    """A client with unread packets has this long to begin to read."""
    packet_rate: Annotated[float, Meta(gt=0)] = 1000
    """Packets a second that a connection may send for long, whatever they are; 4 KiB of one count as another."""
    close_timeout: Seconds = 3
    """A closed client has this long to take its last packets and to answer the closing handshake."""


def _allow(_request: Request) -> Refusal | None:
    return None


def _peer(request: Request) -> str:
    return request.peer


class Engine:
    """Holds the sessions. `accept(session)` makes the receiver of each new one.

    `origins` guards every request; `allow(request)` may refuse to open a session (rate limits);
    `address(request)` tells whose it is.
    """

    def __init__(
        self,
        options: Options,
        accept: Callable[[Session], Receiver],
        *,
        origins: Origins | None = None,
        allow: Callable[[Request], Refusal | None] = _allow,
        address: Callable[[Request], str] = _peer,
    ) -> None:
        """Nothing runs until `start`."""
        self.options = options
        self.origins = origins or Origins(())
        self.allow = allow
        self.address = address
        self._accept = accept
        self.sessions: dict[str, Session] = {}
        self._last_words: dict[str, bytes] = {}
        self.turn = Turn()

    def start(self) -> None:
        """Bind the delays to the running event loop."""
        loop = asyncio.get_running_loop()
        options = self.options
        self._pings: DelayQueue[Session] = DelayQueue(loop, options.ping_interval, self._ping)
        self._pongs: DelayQueue[Session] = DelayQueue(loop, options.ping_timeout, Session.expire)
        self.upgrading: DelayQueue[Session] = DelayQueue(loop, options.upgrade_timeout, Session.abandon_upgrade)
        self.stalled: DelayQueue[Session | WebSocket] = DelayQueue(
            loop,
            options.stall_timeout,
            lambda slow: slow.close(closing.STALLED),
        )
        self._lingering: DelayQueue[str] = DelayQueue(loop, options.close_timeout, self.last_words)
        self.closing: DelayQueue[WebSocket] = DelayQueue(
            loop, options.close_timeout, lambda websocket: websocket.abort()
        )

    def stop(self, reason: Closing = closing.SERVER_SHUTTING_DOWN) -> None:
        """Close every session, telling WebSockets that they may come back (1012)."""
        for session in list(self.sessions.values()):
            session.close(reason)

    def check(self, request: Request) -> Refusal | None:
        """Return why `request` may not open or use a session, or None."""
        if not self.origins.allow(request):
            return handshake.FORBIDDEN
        if request.query.get("EIO") != str(PROTOCOL):
            return handshake.UNSUPPORTED_PROTOCOL
        transport = request.query.get("transport")
        if transport not in ("polling", "websocket"):
            return handshake.TRANSPORT_UNKNOWN
        if (transport == "websocket") != request.websocket:
            return handshake.BAD_REQUEST
        if request.method != "GET" and (request.websocket or "sid" not in request.query):
            return handshake.BAD_METHOD
        return self._check_session(request)

    def _check_session(self, request: Request) -> Refusal | None:
        sid = request.query.get("sid")
        if sid is None:
            return self.allow(request)
        known = sid in self.sessions or (sid in self._last_words and not request.websocket)
        return None if known else handshake.SESSION_UNKNOWN

    def open(self, request: Request, websocket: WebSocket | None = None) -> Session:
        """Open a session for a request that `check` has passed, and send its open packet."""
        options = self.options
        session = Session(self, secrets.token_urlsafe(15), self.address(request), request.query)
        if websocket is not None:
            session.attach(websocket)
        self.sessions[session.sid] = session
        hello = Open(
            sid=session.sid,
            upgrades=[] if websocket is not None else ["websocket"],
            ping_interval=round(options.ping_interval * 1000),
            ping_timeout=round(options.ping_timeout * 1000),
            max_payload=options.max_payload,
        )
        session.send(hello.packet())
        self._await_ping(session)
        session.receiver = self._accept(session)
        return session

    def linger(self, sid: str, last_words: bytes) -> None:
        """Keep a closed polling session's last packets for the poll that may come."""
        self._last_words[sid] = last_words
        self._lingering.add(sid)

    def last_words(self, sid: str) -> bytes | None:
        """Return, once, what a closed polling session still had to say."""
        self._lingering.discard(sid)
        return self._last_words.pop(sid, None)

    def heard_from(self, session: Session) -> None:
        """The pong is there: the next ping is due in an interval."""
        self._pongs.discard(session)
        self._await_ping(session)

    def _await_ping(self, session: Session) -> None:
        session.ping_due = asyncio.get_running_loop().time() + self.options.ping_interval
        self._pings.add(session)

    def _ping(self, session: Session) -> None:
        # From when the ping was due, not from when the loop came to it: lateness does not add up.
        self._pongs.add(session, session.ping_due)
        session.ping()

    def overdue(self, session: Session) -> bool:
        """Tell whether the pong is late, though the timer may not have fired yet."""
        return self._pongs.due(session) <= asyncio.get_running_loop().time()

    def forget(self, session: Session) -> None:
        """The session is closed."""
        self.sessions.pop(session.sid, None)
        self._pings.discard(session)
        self._pongs.discard(session)
        self.stalled.discard(session)
