"""From events to bytes: encodes once, whoever and however many it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from passerby.chat.events import MessageDelivered
from passerby.guests.events import ConnectionClosing
from passerby.models import Message
from passerby.realtime.closings import CLOSINGS
from passerby.realtime.contract import OUTBOUND
from passerby.socketio import event_prefix
from passerby.stats.events import RealtimeStats

if TYPE_CHECKING:
    from passerby.errors import Code
    from passerby.events import Event
    from passerby.live import LiveGuest
    from passerby.socketio import Socket

_PREFIXES = {event: event_prefix(event.event) for event in OUTBOUND}
_MESSAGE = _PREFIXES[Message]
_RECEIPT = _PREFIXES[MessageDelivered]
_encode = msgspec.json.Encoder().encode


class SocketLink:
    """The Link of a guest who is connected to this process."""

    __slots__ = ("_send_event", "socket")

    def __init__(self, socket: Socket) -> None:
        """Send through `socket`."""
        self.socket = socket
        self._send_event = socket.send_event

    def send(self, event: Event | Message) -> None:
        """See Link."""
        self._send_event(_PREFIXES[type(event)], _encode(event))

    def deliver(self, message: bytes, receipt: Event) -> None:
        """See Link."""
        self._send_event(_MESSAGE, message, _RECEIPT, _encode(receipt))

    async def drain(self) -> None:
        """See Link."""
        await self.socket.drain()

    def close(self, code: Code) -> None:
        """See Link."""
        closing = CLOSINGS[code]
        if not closing.come_back:
            self.send(ConnectionClosing(code=code, message=closing.meaning))
        self.socket.disconnect(closing)


class Publisher:
    """Sends statistics to many; the last ones stay encoded for newcomers."""

    def __init__(self) -> None:
        """Begin with nothing encoded."""
        self._event: RealtimeStats | None = None
        self._argument = b""

    def __call__(self, event: RealtimeStats, guests: list[LiveGuest]) -> None:
        """Send `event` to those of `guests` who are connected here."""
        if event is not self._event:
            self._event, self._argument = event, _encode(event)
        prefix, argument = _PREFIXES[RealtimeStats], self._argument
        for guest in guests:
            link = guest.link
            if isinstance(link, SocketLink):
                link.socket.send_event(prefix, argument)
