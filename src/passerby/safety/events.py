"""The events of the consent ladder, of blocks, reports, and what moderators decide; in both directions."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from passerby.chat.events import MemberEvent
from passerby.events import ErrorEvent, Event
from passerby.models import INTEGER, ClientMessageId, MessageId, Rule, Step, Timestamp, Words

# ── client to server ──────────────────────────────────────────────────────────────────────────────


class AnswerConsent(Event):
    """Allow a step to the partner, or not now; also without being asked, and later the other way round.

    What waits is delivered when it is allowed, and refused to its author (consent_declined) when it is not.
    """

    event: ClassVar[str] = "consent:answer"
    step: Step
    allowed: bool
    user_id: (
        Annotated[
            str,
            Meta(max_length=64, description="Whom it is for, of consent:ask: ignored if that is not the partner now"),
        ]
        | None
    ) = None


class OpenConsent(Event):
    """The steps that the guest allows to every partner, instead of those told before. Sent after each connection."""

    event: ClassVar[str] = "consent:open"
    steps: Annotated[list[Step], Meta(max_length=16)]


class Block(Event):
    """Leave the conversation, and never meet the partner again: neither this session nor this browser.

    Answered by chat:clear:confirmed. Also possible while the partner, who has just left, could come back.
    """

    event: ClassVar[str] = "chat:block"


class Report(Event):
    """Report the partner: of this conversation, or of the last one for some time after its end (`REPORT_WINDOW`).

    The server keeps its own log of the conversation as evidence. Answered by safety:reported or safety:report:error.
    """

    event: ClassVar[str] = "safety:report"
    reason: Rule
    messages: Annotated[list[MessageId], Meta(max_length=200, description="Those that it is about; may be empty")] = []  # noqa: RUF012 - a Struct copies it
    words: Words = ""
    epoch: (
        Annotated[
            int, Meta(ge=1, le=INTEGER, description="Of the room; left out: the conversation of now, else the last one")
        ]
        | None
    ) = None
    leave: Annotated[bool, Meta(description="Whether the conversation ends, and the two never meet again")] = True


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


class Reported(Event):
    """The report is taken."""

    event: ClassVar[str] = "safety:reported"
    receipt: Annotated[str, Meta(description="With it, POST /api/reports/status says what has become of the report")]
    queued: Annotated[bool, Meta(description="The database is away: the report is written as soon as it is back")]
    has_messages: Annotated[bool, Meta(description="Whether the conversation is kept as evidence")]


class ReportError(ErrorEvent):
    """The report was refused: nothing_to_report, already_reported, reports_closed, rate_limited, unavailable."""

    event: ClassVar[str] = "safety:report:error"


class Told(Event):
    """What a moderator has decided about the guest: a warning, or that the session or more is over."""

    event: ClassVar[str] = "safety:told"
    kind: Annotated[
        Literal["warning", "session_ended", "banned"],
        Meta(description="After `session_ended` and `banned`, the connection is closed"),
    ]
    rule: Rule
    words: Annotated[str, Meta(description="The reason, written by a moderator; empty if `shared`")]
    until: Annotated[Timestamp, Meta(description="Of a ban; left out: it does not end by itself")] | UnsetType = UNSET
    appeal_code: Annotated[str, Meta(description="Of a ban, for POST /api/appeals")] | UnsetType = UNSET
    shared: Annotated[bool, Meta(description="See BanNotice: it may be about somebody else")] = False


INBOUND: Final[tuple[type[Event], ...]] = (AnswerConsent, OpenConsent, Block, Report)
OUTBOUND: Final[tuple[type[Event], ...]] = (
    ConsentAsked,
    ConsentWithdrawn,
    ConsentWaiting,
    ConsentAnswered,
    ConsentError,
    Reported,
    ReportError,
    Told,
)
