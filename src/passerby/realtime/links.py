"""Encodes events and sends them; an event for many guests is encoded once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from passerby.chat.events import MessageDelivered
from passerby.errors import Code
from passerby.guests.events import ConnectionClosing
from passerby.models import Message
from passerby.realtime.closings import CLOSINGS
from passerby.realtime.contract import OUTBOUND
from passerby.socketio import event_prefix
from passerby.stats.events import RealtimeStats

if TYPE_CHECKING:
    from passerby.background import Background
    from passerby.events import Event
    from passerby.live import LiveGuest
    from passerby.socketio import Socket

_PREFIXES = {event: event_prefix(event.event) for event in OUTBOUND}
_MESSAGE = _PREFIXES[Message]
_RECEIPT = _PREFIXES[MessageDelivered]
_encode = msgspec.json.Encoder().encode


class SocketLink:
    """The Link of a guest who is connected to this process."""

    __slots__ = ("_background", "_send_event", "socket")

    def __init__(self, socket: Socket, background: Background) -> None:
        """Send through `socket`."""
        self.socket = socket
        self._background = background
        self._send_event = socket.send_event

    def send(self, event: Event | Message) -> None:
        """See Link."""
        try:
            self._send_event(_PREFIXES[type(event)], _encode(event))
        except Exception as error:  # noqa: BLE001 - the caller may be the partner, who must not be affected
            self._break_off(error)

    def deliver(self, message: bytes, receipt: Event) -> None:
        """See Link."""
        try:
            self._send_event(_MESSAGE, message, _RECEIPT, _encode(receipt))
        except Exception as error:  # noqa: BLE001 - as in `send`
            self._break_off(error)

    def send_encoded(self, prefix: bytes, argument: bytes) -> None:
        """Send an event that is already encoded."""
        try:
            self._send_event(prefix, argument)
        except Exception as error:  # noqa: BLE001 - as in `send`
            self._break_off(error)

    def _break_off(self, error: Exception) -> None:
        """Close the connection, because the client has missed an event; it reconnects and resumes."""
        self._background.failed("sending to a client", error)
        asyncio.get_running_loop().call_soon(self.close, Code.SERVER_ERROR)

    async def drain(self) -> None:
        """See Link."""
        await self.socket.drain()

    def close(self, code: Code) -> None:
        """See Link."""
        closing = CLOSINGS[code]
        if not closing.come_back:
            self.send(ConnectionClosing(code=code, message=closing.meaning))
        try:
            self.socket.disconnect(closing)
        except Exception as error:  # noqa: BLE001 - as in `send`
            self._background.failed("closing of a connection", error)
            self._background.attempt("aborting of a connection", self.socket.abort)


class Publisher:
    """Sends statistics to many guests. The last event stays encoded for guests who connect later."""

    def __init__(self) -> None:
        """Start without an encoded event."""
        self._event: RealtimeStats | None = None
        self._argument = b""

    def __call__(self, event: RealtimeStats, guests: list[LiveGuest]) -> None:
        """Send `event` to those of `guests` who are connected to this process."""
        if event is not self._event:
            self._event, self._argument = event, _encode(event)
        prefix, argument = _PREFIXES[RealtimeStats], self._argument
        for guest in guests:
            link = guest.link
            if isinstance(link, SocketLink):
                link.send_encoded(prefix, argument)
