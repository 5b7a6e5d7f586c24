"""A client in a namespace: what an application sends through, and what it hangs its own data on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.socketio import closing, packets
from passerby.socketio.namespace import Ack, Handler, Namespace

if TYPE_CHECKING:
    from passerby.socketio.client import Client
    from passerby.socketio.closing import Closing

log = logging.getLogger(__name__)

NO_AUTH: Final = msgspec.Raw(b"{}")
_MAX_BACKLOG: Final = 512
"""Events that may wait behind one of the same socket's that is still being handled."""

Waiting = tuple[Handler[Any], Any, Ack | None]
"""An event whose turn has not come: its handler, its payload, and what acknowledges it."""


class Socket:
    """A client in a namespace. `data` is the application's own; `auth` is CONNECT's JSON, until it is accepted."""

    __slots__ = (
        "_acks",
        "_backlog",
        "_client",
        "_next_ack",
        "auth",
        "connected",
        "data",
        "id",
        "namespace",
        "send",
        "send_event",
    )

    def __init__(self, client: Client, namespace: Namespace, auth: msgspec.Raw) -> None:
        """Not connected yet: middlewares are asked first."""
        self._client = client
        self.namespace = namespace
        self.auth = auth
        self.id = secrets.token_urlsafe(15)
        self.connected = False
        self.send = client.session.send
        """Send an encoded packet."""
        self.send_event = client.session.send_event
        """Send an event from its `event_prefix` and the JSON of its one argument."""
        self.data: Any = None
        self._acks: dict[int, asyncio.Future[list[Any]]] | None = None
        self._next_ack = 0
        self._backlog: deque[Waiting] | None = None

    @property
    def address(self) -> str:
        """The client's address, as the engine's rules tell it."""
        return self._client.session.address

    @property
    def query(self) -> Mapping[str, str]:
        """The handshake's query."""
        return self._client.session.query

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        return self._client.session.transport

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is gone."""
        await self._client.session.drain()

    def emit(self, event: str, *arguments: object) -> None:
        """Send an event; bytes anywhere in lists and dicts of `arguments` travel as attachments."""
        if self.connected:
            for packet in packets.encode_event(self.namespace.name, event, arguments):
                self._client.session.send(packet)

    async def call(self, event: str, *arguments: object, timeout: float = 10) -> list[Any]:  # noqa: ASYNC109 - part of what is asked
        """Send an event, wait at most `timeout` seconds for its ack, return the ack's arguments.

        Raises TimeoutError, and ConnectionError when the socket disconnects first.
        """
        if not self.connected:
            raise ConnectionError("not connected")
        acks = self._acks = self._acks if self._acks is not None else {}
        number, self._next_ack = self._next_ack, self._next_ack + 1
        future = acks[number] = asyncio.get_running_loop().create_future()
        for packet in packets.encode_event(self.namespace.name, event, arguments, number):
            self._client.session.send(packet)
        try:
            async with asyncio.timeout(timeout):
                answer: list[Any] = await future
                return answer
        finally:
            acks.pop(number, None)

    def disconnect(self, reason: Closing = closing.SERVER_DISCONNECT, *, close: bool = True) -> None:
        """Disconnect from the namespace, and with `close` end the whole connection.

        Clients come back by themselves unless a DISCONNECT packet tells them not to: it is sent when `reason` says so,
        or when the connection goes on.
        """
        if close and reason.come_back:
            self._client.session.close(reason)
        if self.connected:
            self._client.session.send(packets.encode_disconnect(self.namespace.name))
            self._client.drop(self, reason)
        if close:
            self._client.session.close(reason)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def acknowledger(self, ack_id: int) -> Ack:
        """Return what answers the client's ack `ack_id`, once."""
        pending = True

        def acknowledge(*arguments: object) -> None:
            nonlocal pending
            if pending and self.connected:
                pending = False
                for packet in packets.encode_ack(self.namespace.name, ack_id, arguments):
                    self._client.session.send(packet)

        return acknowledge

    def dispatch(self, handler: Handler[Any], payload: object, ack: Ack | None) -> None:
        """Handle an event now, or after those of this socket that are being handled."""
        if self._backlog is not None:
            self._put_off(self._backlog, handler, payload, ack)
            return
        try:
            result = handler.call(self, payload, ack)
        except Exception:
            log.exception("event handler failed")
            return
        if result is not None:
            self._backlog = deque()
            self._client.server.spawn("handling of events", self._work(result))

    def _put_off(self, backlog: deque[Waiting], handler: Handler[Any], payload: object, ack: Ack | None) -> None:
        if len(backlog) >= _MAX_BACKLOG:
            self._client.session.close(closing.BACKLOG_OVERFLOW)
        else:
            backlog.append((handler, payload, ack))

    async def _work(self, running: Awaitable[None]) -> None:
        backlog = self._backlog
        assert backlog is not None  # noqa: S101 - set by dispatch, cleared only here
        awaitable: Awaitable[None] | None = running
        while True:
            try:
                if awaitable is not None:
                    await awaitable
                if not backlog:
                    break
                handler, payload, ack = backlog.popleft()
                awaitable = handler.call(self, payload, ack) if self.connected else None
            except Exception:
                log.exception("event handler failed")
                awaitable = None
        self._backlog = None

    def resolve(self, ack_id: int, data: str, attachments: list[bytes]) -> None:
        """The client has acknowledged `call` number `ack_id`; one that nobody waits for is ignored.

        Raises ProtocolError for malformed JSON.
        """
        future = self._acks.pop(ack_id, None) if self._acks is not None else None
        if future is None:
            packets.check_json(data)
        elif not future.done():
            future.set_result(packets.decode_json(data, attachments))

    def give_up_acks(self) -> None:
        """Nobody will answer any more."""
        acks, self._acks = self._acks, None
        for future in acks.values() if acks else ():
            if not future.done():
                future.set_exception(ConnectionError("disconnected before the ack"))
