"""A link that records what a guest's client would receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from passerby.events import Event
from passerby.models import Message
from passerby.realtime.closings import CLOSINGS
from passerby.stats.events import RealtimeStats
from tests.support.fakes import Gate

if TYPE_CHECKING:
    from passerby.errors import Code

E = TypeVar("E", bound="Event | Message")


class RecordingLink:
    """See `passerby.live.Link`. Events sent after closing are dropped, as by a socket."""

    def __init__(self) -> None:
        self.sent: list[Event | Message] = []
        self.closed: str | None = None
        self.lost = False
        self.read = Gate()
        """While this gate is closed, the client does not read."""

    def send(self, event: Event | Message) -> None:
        if self.closed is None and not self.lost:
            self.sent.append(event)

    def deliver(self, message: bytes, receipt: Event) -> None:
        self.send(msgspec.json.decode(message, type=Message))
        self.send(receipt)

    async def drain(self) -> None:
        await self.read.passing()

    def close(self, code: Code) -> None:
        assert self.closed is None, "closed twice"
        assert code in CLOSINGS
        self.closed = code

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, in order."""
        return [event for event in self.sent if isinstance(event, kind)]

    def last(self, kind: type[E]) -> E:
        """Return the newest event of one kind."""
        return self.of(kind)[-1]

    def names(self) -> list[str]:
        """Return the names of all events except statistics, in order."""
        return [event.event for event in self.sent if not isinstance(event, RealtimeStats)]

    def texts(self) -> list[object]:
        """Return the contents of the messages, in order."""
        return [message.content for message in self.of(Message)]

    def clear(self) -> None:
        self.sent.clear()
