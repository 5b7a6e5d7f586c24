"""The long-polling transport: an ASGI application for the engine's path."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from typing import TYPE_CHECKING, Any

from passerby.socketio import closing, handshake
from passerby.socketio.engineio import ProtocolError
from passerby.socketio.handshake import Refusal, Request, join_headers, parse_query
from passerby.socketio.timers import timeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from passerby.socketio.engine import Engine

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_TEXT = b"text/plain; charset=UTF-8"
_PREFLIGHT_HEADERS = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-max-age", b"7200"),
]
_USUAL_HEADERS = b"content-type, authorization"
_HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
_LONGEST_NAMES = 1024
"""Characters of the names that a preflight asks for, at most."""
_TOO_LARGE = Refusal(3, "too_large", "Payload too large", status=413)
_TOO_SLOW = Refusal(3, "request_timeout", "Request timeout", status=408)


_FAILED = Refusal(3, "internal", "Internal server error", status=500)

log = logging.getLogger(__name__)


class Polling:
    """Serves GET (open a session, wait for packets), POST (send packets) and OPTIONS (CORS preflight)."""

    def __init__(self, engine: Engine, failed: Callable[[Exception], str] | None = None) -> None:
        """Serve `engine`'s sessions. `failed` logs a failure, and returns what the answer names it by: Request-Id."""
        self._engine = engine
        self._failed = failed

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = _request(scope)
        if request.method == "OPTIONS":
            await self._preflight(request, send)
            return
        status, body, content_type = 200, b"", _TEXT
        retry_after = number = None
        try:
            body_or_none = await self._answer(request, receive)
        except _RefusedError as error:
            refusal = error.refusal
            status, body, content_type, retry_after = (
                refusal.status,
                refusal.body(),
                b"application/json",
                refusal.retry_after,
            )
        except Exception as error:
            if self._failed is None:
                log.exception("polling failed")
            else:
                number = self._failed(error)
            status, body, content_type = _FAILED.status, _FAILED.body(), b"application/json"
        else:
            if body_or_none is None:
                return
            body = body_or_none
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *self._engine.origins.cors_headers(request),
        ]
        if number is not None:
            headers.append((b"request-id", number.encode()))
        if retry_after is not None:
            headers.append((b"retry-after", str(math.ceil(retry_after)).encode()))
        await _respond(send, status, headers, body)

    async def _preflight(self, request: Request, send: Send) -> None:
        """Allow a listed page to send any headers it asks for: clients are configured to add some (`extraHeaders`)."""
        cors = self._engine.origins.cors_headers(request)
        if not cors:
            body = handshake.FORBIDDEN.body()
            described = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await _respond(send, handshake.FORBIDDEN.status, [*described, (b"cache-control", b"no-store")], body)
            return
        asked = request.header(b"access-control-request-headers")
        is_readable = len(asked) <= _LONGEST_NAMES and _HEADER_NAMES.fullmatch(asked) is not None
        allowed = (b"access-control-allow-headers", asked.encode("latin-1") if is_readable else _USUAL_HEADERS)
        await _respond(send, 204, [*cors, *_PREFLIGHT_HEADERS, allowed], b"")

    async def _answer(self, request: Request, receive: Receive) -> bytes | None:
        """Return the body of a 200 response, or None when the client has disconnected. Raises _RefusedError."""
        engine = self._engine
        refusal = engine.check(request)
        if refusal is not None:
            raise _RefusedError(refusal)
        sid = request.query.get("sid")
        if sid is None:
            session = engine.open(request)
            poll = session.start_poll()
            assert poll is not None  # noqa: S101 - the first poll of the session
            session.end_poll(poll)
            return poll.result()
        open_session = engine.sessions.get(sid)
        if open_session is not None and not open_session.pace.take(0):
            open_session.close(closing.TOO_MANY_PACKETS)
            raise _RefusedError(handshake.BAD_REQUEST)
        if request.method == "GET":
            return await self._poll(sid, receive)
        if request.method == "POST":
            return await self._post(sid, request, receive)
        raise _RefusedError(handshake.BAD_REQUEST)

    async def _poll(self, sid: str, receive: Receive) -> bytes | None:
        session = self._engine.sessions.get(sid)
        if session is not None and self._engine.overdue(session):
            session.expire()
            raise _RefusedError(handshake.SESSION_UNKNOWN)
        if session is None:
            payload = self._engine.take_final_payload(sid)
            if payload is None:
                raise _RefusedError(handshake.SESSION_UNKNOWN)
            return payload
        poll = None if session.transport == "websocket" else session.start_poll()
        if poll is None:
            raise _RefusedError(handshake.BAD_REQUEST)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((poll, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            session.end_poll(poll)
        return None if poll.cancelled() else poll.result()

    async def _post(self, sid: str, request: Request, receive: Receive) -> bytes | None:
        session = self._engine.sessions.get(sid)
        if session is None or session.transport == "websocket":
            raise _RefusedError(handshake.BAD_REQUEST)
        options = self._engine.options
        length = request.header(b"content-length")
        if length.isascii() and length.isdigit() and int(length[:20]) > options.max_payload:
            raise _RefusedError(_TOO_LARGE)
        try:
            async with timeout(self._engine.scheduler, options.stall_timeout):
                body = await _read(receive, options.max_payload)
        except TimeoutError:
            raise _RefusedError(_TOO_SLOW) from None
        if body is None:
            return None
        try:
            session.receive_payload(body.decode())
        except (ProtocolError, UnicodeDecodeError):
            session.close(closing.PARSE_ERROR)
            raise _RefusedError(handshake.BAD_REQUEST) from None
        except Exception:
            session.close(closing.SERVER_ERROR)  # packets of the body may be lost: the client must reconnect
            raise
        return b"ok"


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _request(scope: MutableMapping[str, Any]) -> Request:
    client = scope.get("client")
    return Request(
        method=scope["method"],
        query=parse_query(scope["query_string"].decode("latin-1")),
        headers=join_headers(scope["headers"]),
        peer=client[0] if client else "",
    )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return the request's body, None when the client has disconnected. Raises _RefusedError above `limit` bytes."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise _RefusedError(_TOO_LARGE)
        if not message.get("more_body"):
            return bytes(body)


async def _respond(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
