"""All events of the contract: the documents, the client's types and the gateway are built from these lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from passerby.calls import events as calls
from passerby.chat import events as chat
from passerby.chat.events import Resume
from passerby.guests import events as guests
from passerby.matching import events as matching
from passerby.safety import events as safety
from passerby.stats import events as stats

if TYPE_CHECKING:
    from passerby.events import Event
    from passerby.models import Message


class Token(Struct, frozen=True):
    """The required part of the handshake's `auth`."""

    token: str | None = None


class Auth(Token, frozen=True):
    """The handshake's `auth`."""

    resume: Resume | None = None
    features: Annotated[
        list[str],
        Meta(
            max_length=32,
            description="What the client knows of, beside what all do. undo: room:restored, after room:user_left with "
            "`undo`. consent: consent:ask; only such clients are asked. Unknown ones are ignored",
        ),
    ] = []


class Accepted(Struct, frozen=True, forbid_unknown_fields=True):
    """The acknowledgement of an event that was accepted, if it has no answer of its own: an object with nothing in it.

    No refusal is one, so the document can tell the two apart.
    """


INBOUND: tuple[type[Event], ...] = (*matching.INBOUND, *chat.INBOUND, *stats.INBOUND, *calls.INBOUND, *safety.INBOUND)
"""Events that a client may send."""
OUTBOUND: tuple[type[Event | Message], ...] = (
    *guests.OUTBOUND,
    *stats.OUTBOUND,
    *matching.OUTBOUND,
    *chat.OUTBOUND,
    *calls.OUTBOUND,
    *safety.OUTBOUND,
)
"""Events that the server may send."""
ANSWERS: dict[str, type[Event]] = {chat.SendMessage.event: chat.MessageSent, safety.Report.event: safety.Reported}
"""Acknowledgements that are the answer itself, by the name of the event. Those of all others are Accepted."""
