"""The events of a guest's own connection and session."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType

from passerby.errors import Code
from passerby.events import Event, Text
from passerby.models import (
    GuestId,
    Limits,
    Place,
    RoomSummary,
    SessionId,
    Timestamp,
)

# ── server to client ──────────────────────────────────────────────────────────────────────────────


class ConnectionEstablished(Event):
    """The first event after connecting."""

    event: ClassVar[str] = "connection:established"
    user_id: GuestId
    username: str
    socket_id: str
    is_guest: bool
    session_id: SessionId
    room: RoomSummary | None
    limits: Limits
    at: Place | UnsetType = UNSET


class ConnectionClosing(Event):
    """Sent before the server closes this connection; contains the reason.

    With `returnIn` the server stops: the connection goes on until then, and the client should come back.
    Without it the connection closes now, and the client should not reconnect.
    """

    event: ClassVar[str] = "connection:closing"
    code: Code
    message: Text
    closes_in: Annotated[float, Meta(ge=0, description="Seconds until the connection is closed")] | UnsetType = UNSET
    return_in: Annotated[float, Meta(ge=0, description="Seconds after which to come back")] | UnsetType = UNSET
    kept: Annotated[bool, Meta(description="Whether session and conversation are still there then")] | UnsetType = UNSET


class SessionRenewed(Event):
    """A new token, sent some time before the old one expires (RENEW_BEFORE, by default half an hour)."""

    event: ClassVar[str] = "session:renewed"
    token: str
    expires_at: Timestamp


OUTBOUND: tuple[type[Event], ...] = (
    ConnectionEstablished,
    ConnectionClosing,
    SessionRenewed,
)
