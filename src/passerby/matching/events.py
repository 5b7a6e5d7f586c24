"""The events of a search, in both directions."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from passerby.events import ErrorEvent, Event, Text
from passerby.models import MOST_INTERESTS, MOST_LANGUAGES, LanguageTag, Mode, Trait

Stage = Annotated[
    Literal["interests", "language", "anyone", "again"],
    Meta(
        description="What the search asks for now. interests: a shared interest, in a shared language. language: a "
        "shared language. anyone: nothing. again: nothing, and it may be somebody who was met lately"
    ),
]


class Wants(Struct, frozen=True):
    """What the partner should have told of themselves. The operator may have disabled each."""

    gender: Trait | None = None
    location: Trait | None = None


class MatchRequest(Event):
    """Search for a partner. Answered by user:match:searching, and by user:matched when a partner is found.

    All preferences are optional. What cannot be satisfied is given up step by step, and each step is told by another
    user:match:searching. Anything that is no object counts as no preferences, and so do fields that are not these.
    """

    event: ClassVar[str] = "user:match"
    interests: Annotated[
        list[str],
        Meta(
            max_length=MOST_INTERESTS,
            description="Words. Case, width and spaces around and between them make no difference",
        ),
    ] = msgspec.field(default_factory=list)
    languages: Annotated[
        list[LanguageTag],
        Meta(
            max_length=MOST_LANGUAGES,
            description="That the guest speaks, the preferred one first; regions make no difference. Without any: the "
            "session's `language`",
        ),
    ] = msgspec.field(default_factory=list)
    wants: Wants = Wants()
    mode: Mode = "text"
    only: Annotated[
        bool, Meta(description="Give nothing up, however long it takes; ignored unless `limits.matching.only`")
    ] = False


class MatchCancel(Event):
    """Stop searching. Answered by user:match:cancelled or user:match:cancel:error."""

    event: ClassVar[str] = "user:match:cancel"


class MatchError(ErrorEvent):
    """The search could not start."""

    event: ClassVar[str] = "user:match:error"
    field: (
        Annotated[str, Meta(description="The field that is wrong", examples=["interests", "wants.gender"])] | UnsetType
    ) = UNSET


class MatchCancelError(ErrorEvent):
    """The search could not be cancelled."""

    event: ClassVar[str] = "user:match:cancel:error"


class MatchSearching(Event):
    """The search has started, or has come to its next stage."""

    event: ClassVar[str] = "user:match:searching"
    message: Text
    stage: Stage
    waiting: Annotated[int, Meta(ge=0, description="Guests who search in this mode, with this one; a second old")]
    elapsed: Annotated[float, Meta(ge=0, description="Seconds since the search began")]
    usual_wait: (
        Annotated[float, Meta(ge=0, description="Seconds that searches have taken lately, the median")] | UnsetType
    ) = UNSET


class MatchNoUsers(Event):
    """Nobody who fits is waiting yet; the search continues."""

    event: ClassVar[str] = "user:match:no_users"
    message: Text


class MatchCancelled(Event):
    """The search has ended."""

    event: ClassVar[str] = "user:match:cancelled"
    message: Text


INBOUND: tuple[type[Event], ...] = (
    MatchRequest,
    MatchCancel,
)
OUTBOUND: tuple[type[Event], ...] = (
    MatchSearching,
    MatchNoUsers,
    MatchCancelled,
    MatchError,
    MatchCancelError,
)
