"""The events of a search, in both directions."""

from __future__ import annotations

from typing import ClassVar

from passerby.events import ErrorEvent, Event, Text


class MatchRequest(Event):
    """Search for a partner. Answered by user:match:searching, and by user:matched when a partner is found."""

    event: ClassVar[str] = "user:match"


class MatchCancel(Event):
    """Stop searching. Answered by user:match:cancelled or user:match:cancel:error."""

    event: ClassVar[str] = "user:match:cancel"


class MatchError(ErrorEvent):
    """The search could not start."""

    event: ClassVar[str] = "user:match:error"


class MatchCancelError(ErrorEvent):
    """The search could not be cancelled."""

    event: ClassVar[str] = "user:match:cancel:error"


class MatchSearching(Event):
    """The search has started."""

    event: ClassVar[str] = "user:match:searching"
    message: Text


class MatchNoUsers(Event):
    """No other guest is waiting yet; the search continues."""

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
