"""The events of the consent ladder, in both directions, and of a block."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import UNSET, Meta, UnsetType

from passerby.chat.events import MemberEvent
from passerby.events import ErrorEvent, Event
from passerby.models import ClientMessageId, Step

# ── client to server ──────────────────────────────────────────────────────────────────────────────


class AnswerConsent(Event):
    """Allow a step to the partner, or not now; also without being asked, and later the other way round.

    What waits is delivered when it is allowed, and refused to its author (consent_declined) when it is not.
    """

    event: ClassVar[str] = "consent:answer"
    step: Step
    allowed: bool


class OpenConsent(Event):
    """The steps that the guest allows to every partner, instead of those told before. Sent after each connection."""

    event: ClassVar[str] = "consent:open"
    steps: Annotated[list[Step], Meta(max_length=16)]


class Block(Event):
    """Leave the conversation, and never meet the partner again: neither this session nor this browser.

    Answered by chat:clear:confirmed. Also possible while the partner, who has just left, could come back.
    """

    event: ClassVar[str] = "chat:block"


# ── server to client ──────────────────────────────────────────────────────────────────────────────


class ConsentAsked(MemberEvent):
    """The partner wants to send the first link, picture, … or to call. Answer with consent:answer.

    Sent again after a reconnection, until it is answered.
    """

    event: ClassVar[str] = "consent:ask"
    step: Step


class ConsentWithdrawn(MemberEvent):
    """Nothing waits any more: the partner has given up the call that they asked for."""

    event: ClassVar[str] = "consent:withdrawn"
    step: Step


class ConsentWaiting(Event):
    """The partner is asked first: a message with this `clientId`, or the call, waits on the server."""

    event: ClassVar[str] = "consent:waiting"
    step: Step
    client_id: ClientMessageId | UnsetType = UNSET


class ConsentAnswered(MemberEvent):
    """The partner allows a step, or not now."""

    event: ClassVar[str] = "consent:answered"
    step: Step
    allowed: bool


class ConsentError(ErrorEvent):
    """The answer was refused."""

    event: ClassVar[str] = "consent:error"


INBOUND: Final[tuple[type[Event], ...]] = (AnswerConsent, OpenConsent, Block)
OUTBOUND: Final[tuple[type[Event], ...]] = (
    ConsentAsked,
    ConsentWithdrawn,
    ConsentWaiting,
    ConsentAnswered,
    ConsentError,
)
