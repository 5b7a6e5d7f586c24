"""The Engine.IO server: its sessions, limits and timers. The transports call it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
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
    from passerby.socketio.timers import Scheduler
    from passerby.socketio.websocket import WebSocket

log = logging.getLogger(__name__)

Seconds = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(gt=0)]


class Options(Struct, frozen=True, kw_only=True):
    """Times in seconds, sizes in bytes."""

    path: str = "/socket.io/"
    root_path: str = ""
    """What a WebSocket's path may have before it, as its client knows it."""
    ping_interval: Seconds = 25
    ping_timeout: Seconds = 20
    upgrade_timeout: Seconds = 10
    connect_timeout: Seconds = 10
    """From the open packet to the first CONNECT; also for a session that has left all namespaces."""
    max_payload: Bytes = 1_000_000
    """Maximum size of one message, one WebSocket frame, one POST."""
    outbox_limit: Bytes = 256 * 1024
    """Maximum unread bytes buffered for one client."""
    stall_timeout: Seconds = 10
    """A client that reads no packets for this long is disconnected."""
    packet_rate: Annotated[float, Meta(gt=0)] = 1000
    """Sustained packets a second of a connection, of any type; every 4 KiB of a packet count as another packet."""
    close_timeout: Seconds = 3
    """Time for a client to read its last packets and to answer the closing handshake."""


def _allow(_request: Request) -> Refusal | None:
    return None


def _peer(request: Request) -> str:
    return request.peer


class Engine:
    """Holds the sessions. `accept(session)` creates the receiver of each new session.

    `origins` checks every request. `allow(request)` may refuse a new connection (rate limits): a new session, or a
    WebSocket that is to take over a polling session. `address(request)` returns the client's address.
    """

    def __init__(
        self,
        options: Options,
        accept: Callable[[Session], Receiver],
        *,
        origins: Origins | None = None,
        allow: Callable[[Request], Refusal | None] = _allow,
        address: Callable[[Request], str] = _peer,
        sid_prefix: str = "",
    ) -> None:
        """Nothing runs until `start`. All `sid`s begin with `sid_prefix`: it names the process that has the session."""
        self.options = options
        self.origins = origins or Origins(())
        self.allow = allow
        self.address = address
        self._accept = accept
        self._sid_prefix = sid_prefix
        self.sessions: dict[str, Session] = {}
        self._final_payloads: dict[str, bytes] = {}
        self.opened = 0
        """Sessions that were opened."""
        self.websockets = 0
        """Sessions that are on a WebSocket now."""
        self.closings: Counter[str] = Counter()
        """Sessions that have ended, by the code of the reason."""
        self.refusals: Counter[str] = Counter()
        """Requests that were refused, by code."""
        self.turn = Turn()

    def start(self, scheduler: Scheduler | None = None) -> None:
        """Create the timers with `scheduler`, or in the running event loop."""
        loop = self.scheduler = scheduler or asyncio.get_running_loop()
        options = self.options
        self._pings: DelayQueue[Session] = DelayQueue(loop, options.ping_interval, self._ping)
        self._pongs: DelayQueue[Session] = DelayQueue(loop, options.ping_timeout, self._expire)
        self.upgrading: DelayQueue[Session] = DelayQueue(loop, options.upgrade_timeout, Session.abandon_upgrade)
        self.stalled: DelayQueue[Session | WebSocket] = DelayQueue(
            loop,
            options.stall_timeout,
            lambda slow: self._close(slow, closing.STALLED),
        )
        self._final_timers: DelayQueue[str] = DelayQueue(loop, options.close_timeout, self.take_final_payload)
        self.closing: DelayQueue[WebSocket] = DelayQueue(
            loop, options.close_timeout, lambda websocket: websocket.abort()
        )

    def stop(self, reason: Closing = closing.SERVER_SHUTTING_DOWN) -> None:
        """Close every session. WebSocket clients get close code 1012 and may reconnect."""
        for session in list(self.sessions.values()):
            self._close(session, reason)

    def dismiss(self, sid: str) -> None:
        """Close one session as `stop` does; nothing if it has ended."""
        session = self.sessions.get(sid)
        if session is not None:
            self._close(session, closing.SERVER_SHUTTING_DOWN)

    @staticmethod
    def _close(session: Session | WebSocket, reason: Closing) -> None:
        """Close a connection that has run into a limit or is not needed any more; abort it if that fails."""
        try:
            session.close(reason)
        except Exception:
            log.exception("closing failed")
            session.abort()

    def extend(self, seconds: float) -> None:
        """Give everyone `seconds` more: the process was paused, and no client could be read."""
        for queue in (self._pings, self._pongs, self.upgrading, self.stalled, self._final_timers, self.closing):
            queue.extend(seconds)
        for session in self.sessions.values():
            session.ping_due += seconds

    def check(self, request: Request) -> Refusal | None:
        """Return why `request` must not open or use a session, or None."""
        refusal = self._judge(request)
        if refusal is not None:
            self.refusals[refusal.code] += 1
        return refusal

    def _judge(self, request: Request) -> Refusal | None:
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
        session = self.sessions.get(sid)
        if request.websocket:
            if session is None:
                return handshake.SESSION_UNKNOWN
            # Before the WebSocket handshake: a connection that is refused must cost the server next to nothing.
            return self.allow(request) if session.can_upgrade else handshake.ALREADY_UPGRADED
        return None if session is not None or sid in self._final_payloads else handshake.SESSION_UNKNOWN

    def open(self, request: Request, websocket: WebSocket | None = None) -> Session:
        """Open a session for a request accepted by `check`, and send its open packet."""
        options = self.options
        session = Session(self, self._sid_prefix + secrets.token_urlsafe(15), self.address(request), request.query)
        if websocket is not None:
            session.attach(websocket)
        self.sessions[session.sid] = session
        self.opened += 1
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

    def keep_final_payload(self, sid: str, payload: bytes) -> None:
        """Keep the last packets of a closed polling session for one more poll."""
        self._final_payloads[sid] = payload
        self._final_timers.add(sid)

    def take_final_payload(self, sid: str) -> bytes | None:
        """Return the last packets of a closed polling session, once; None if there are none."""
        self._final_timers.discard(sid)
        return self._final_payloads.pop(sid, None)

    def pong_received(self, session: Session) -> None:
        """A pong has arrived: the next ping is due after the ping interval."""
        self._pongs.discard(session)
        self._await_ping(session)

    def _await_ping(self, session: Session) -> None:
        session.ping_due = self.scheduler.time() + self.options.ping_interval
        self._pings.add(session)

    def _ping(self, session: Session) -> None:
        # Count from the time when the ping was due, not from now: delays of the event loop do not add up.
        self._pongs.add(session, session.ping_due)
        session.ping()

    @staticmethod
    def _expire(session: Session) -> None:
        try:
            session.expire()
        except Exception:
            log.exception("closing failed")
            session.abort()

    def overdue(self, session: Session) -> bool:
        """Return whether the pong is late; the timer may not have fired yet."""
        return self._pongs.due(session) <= self.scheduler.time()

    def forget(self, session: Session, reason: Closing) -> None:
        """Remove a closed session."""
        self.closings[reason.code] += 1
        self.sessions.pop(session.sid, None)
        self._pings.discard(session)
        self._pongs.discard(session)
        self.stalled.discard(session)
