"""The events of a search, in and out."""

from __future__ import annotations

from typing import ClassVar

from passerby.events import ErrorEvent, Event, Text


class MatchRequest(Event):
    """Look for a passer-by. Answered by user:match:searching and, sooner or later, user:matched."""

    event: ClassVar[str] = "user:match"


class MatchCancel(Event):
    """Stop looking. Answered by user:match:cancelled or user:match:cancel:error."""

    event: ClassVar[str] = "user:match:cancel"


class MatchError(ErrorEvent):
    """The search could not start."""

    event: ClassVar[str] = "user:match:error"


class MatchCancelError(ErrorEvent):
    """The search could not be cancelled."""

    event: ClassVar[str] = "user:match:cancel:error"


class MatchSearching(Event):
    """The guest waits for a match."""

    event: ClassVar[str] = "user:match:searching"
    message: Text


class MatchNoUsers(Event):
    """Nobody else is waiting yet; the search goes on."""

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
