"""A client in a namespace: the application sends through it and attaches its own data to it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.socketio import closing, packets, timers
from passerby.socketio.namespace import Ack, Handler, Namespace

if TYPE_CHECKING:
    from passerby.socketio.client import Client
    from passerby.socketio.closing import Closing

log = logging.getLogger(__name__)

NO_AUTH: Final = msgspec.Raw(b"{}")
_MAX_BACKLOG: Final = 512
"""Maximum events that wait while an earlier event of the same socket is being handled."""

Waiting = tuple[Handler[Any], Any, Ack | None]
"""A waiting event: its handler, its payload, and its ack."""


class Socket:
    """A client in a namespace. `data` belongs to the application; `auth` is CONNECT's JSON, cleared once accepted."""

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
        """Not connected yet: the middlewares run first."""
        self._client = client
        self.namespace = namespace
        self.auth = auth
        self.id = secrets.token_urlsafe(15)
        self.connected = False
        self.send = client.session.send
        """Send an encoded packet."""
        self.send_event = client.session.send_event
        """Send an event, given its `event_prefix` and the JSON of its single argument."""
        self.data: Any = None
        self._acks: dict[int, asyncio.Future[list[Any]]] | None = None
        self._next_ack = 0
        self._backlog: deque[Waiting] | None = None

    @property
    def client(self) -> Client:
        """The client whose socket this is."""
        return self._client

    @property
    def is_idle(self) -> bool:
        """Whether it is connected, and no event is being handled or waits."""
        return self.connected and self._backlog is None

    @property
    def address(self) -> str:
        """The client's address, as determined by the engine."""
        return self._client.session.address

    @property
    def is_passed_on(self) -> bool:
        """Whether the connection is another node's, which has admitted it."""
        return self._client.session.is_passed_on

    @property
    def query(self) -> Mapping[str, str]:
        """The query of the handshake."""
        return self._client.session.query

    @property
    def transport(self) -> str:
        """`websocket` or `polling`."""
        return self._client.session.transport

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> None:
        """Wait until the client has read most of what was sent, or the connection is closed."""
        await self._client.session.drain()

    def emit(self, event: str, *arguments: object) -> None:
        """Send an event. Bytes anywhere in lists and dicts of `arguments` are sent as attachments."""
        if self.connected:
            for packet in packets.encode_event(self.namespace.name, event, arguments):
                self._client.session.send(packet)

    async def call(self, event: str, *arguments: object, timeout: float = 10) -> list[Any]:  # noqa: ASYNC109 - part of the interface
        """Send an event, wait at most `timeout` seconds for its ack, return the ack's arguments.

        Raises TimeoutError, and ConnectionError when the socket disconnects before the ack.
        """
        if not self.connected:
            raise ConnectionError("not connected")
        acks = self._acks = self._acks if self._acks is not None else {}
        number, self._next_ack = self._next_ack, self._next_ack + 1
        future = acks[number] = asyncio.get_running_loop().create_future()
        for packet in packets.encode_event(self.namespace.name, event, arguments, number):
            self._client.session.send(packet)
        try:
            async with timers.timeout(self._client.server.engine.scheduler, timeout):
                answer: list[Any] = await future
                return answer
        finally:
            acks.pop(number, None)

    def disconnect(self, reason: Closing = closing.SERVER_DISCONNECT, *, close: bool = True) -> None:
        """Disconnect from the namespace; with `close`, also close the connection.

        Clients reconnect automatically unless they get a DISCONNECT packet. It is sent when `reason` says that they
        should not, or when the connection stays open.
        """
        if close and reason.come_back:
            self._client.session.close(reason)
        if self.connected:
            self._client.session.send(packets.encode_disconnect(self.namespace.name))
            self._client.drop(self, reason)
        if close:
            self._client.session.close(reason)

    def abort(self) -> None:
        """End the whole connection without a word, when `disconnect` fails."""
        self._client.session.abort()

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────

    def acknowledger(self, ack_id: int) -> Ack:
        """Return a function that sends the ack `ack_id` to the client, once."""
        pending = True

        def acknowledge(*arguments: object) -> None:
            nonlocal pending
            if pending and self.connected:
                pending = False
                for packet in packets.encode_ack(self.namespace.name, ack_id, arguments):
                    self._client.session.send(packet)

        return acknowledge

    def hold(self) -> None:
        """Put off events until `release`: the application is being told of this socket."""
        self._backlog = deque()

    def release(self) -> None:
        """Handle the events that were put off."""
        if self._backlog:
            self._client.server.spawn("handling of events", self._work(None))
        else:
            self._backlog = None

    def dispatch(self, handler: Handler[Any], payload: object, ack: Ack | None) -> None:
        """Handle an event now, or after this socket's events that are being handled."""
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

    async def _work(self, awaitable: Awaitable[None] | None) -> None:
        backlog = self._backlog
        assert backlog is not None  # noqa: S101 - set by dispatch or hold, cleared only here
        try:
            while True:
                try:
                    if awaitable is not None:
                        await awaitable
                    if not backlog:
                        break
                    handler, payload, ack = backlog.popleft()
                    awaitable = handler.call(self, payload, ack) if self.connected else None
                except (Exception, asyncio.CancelledError):
                    task = asyncio.current_task()
                    if task is not None and task.cancelling():
                        raise
                    log.exception("event handler failed")
                    awaitable = None
        finally:
            self._backlog = None

    def resolve(self, ack_id: int, data: str, attachments: list[bytes]) -> None:
        """Handle the client's ack of `call` number `ack_id`; an unexpected one is ignored.

        Raises ProtocolError for malformed JSON.
        """
        future = self._acks.pop(ack_id, None) if self._acks is not None else None
        if future is None:
            packets.check_json(data)
        elif not future.done():
            future.set_result(packets.decode_json(data, attachments))

    def give_up_acks(self) -> None:
        """Fail all calls that still wait for an ack."""
        acks, self._acks = self._acks, None
        for future in acks.values() if acks else ():
            if not future.done():
                future.set_exception(ConnectionError("disconnected before the ack"))
