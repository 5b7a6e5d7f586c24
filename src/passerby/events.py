"""The events of matching, chatting and statistics, in and out, as typed Structs with their names.

Those of calls are in `call_events`, and `contract` lists them all: the AsyncAPI document and the client's
types are made from it, the gateway validates with the same Structs, and the hub encodes them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passerby.models import (
    ClientMessageId,
    GuestId,
    Message,
    MessageId,
    MessageType,
    OnlineUser,
    Partner,
    RoomId,
    RoomSummary,
    SessionId,
    Stats,
    Timestamp,
)

Text = Annotated[str, Meta(description="For people, in English; programs read `code`")]
Code = Annotated[str, Meta(description="Stable, for programs and translations", examples=["rate_limited"])]


class Event(Struct, rename="camel", kw_only=True, gc=False):
    """Base of all events: `event` is the Socket.IO event name, the fields are its one argument.

    Nothing in an event can refer back to it, so the garbage collector need not look (`gc=False`).
    """

    event: ClassVar[str]


# ── client to server ──────────────────────────────────────────────────────────────────────────────


class Resume(Struct, rename="camel", frozen=True):
    """`auth.resume`: the last thing the client saw of a room, so that only what is missing is replayed."""

    room_id: Annotated[str, Meta(max_length=128)]
    epoch: Annotated[int, Meta(ge=0)]
    seq: Annotated[
        int,
        Meta(ge=0, description="Highest seq up to which the client has every message; 0 for none"),
    ]


class Token(Struct, frozen=True):
    """The least that the handshake's `auth` holds."""

    token: str | None = None


class Auth(Token, frozen=True):
    """The handshake's `auth`."""

    resume: Resume | None = None


class MatchRequest(Event):
    """Look for a passer-by. Answered by user:match:searching and, sooner or later, user:matched."""

    event: ClassVar[str] = "user:match"


class MatchCancel(Event):
    """Stop looking. Answered by user:match:cancelled or user:match:cancel:error."""

    event: ClassVar[str] = "user:match:cancel"


class SendMessage(Event):
    """A message to the partner. Answered by chat:message:sent (and the ack) or chat:error."""

    event: ClassVar[str] = "chat:message"
    type: MessageType
    content: Annotated[
        str | dict[str, Raw],
        Meta(
            description="text: 1-1000 characters as a person counts them, not blank; newline and tab are allowed. "
            "file, voice: what the upload has answered, or of it at least `fileId`; fields that the server does not "
            "know pass to the partner, up to 2 KiB"
        ),
    ]
    client_id: ClientMessageId | None = None


class ConfirmDelivery(Event):
    """The recipient's client has the message (and every one before it). Forwarded to its author."""

    event: ClassVar[str] = "chat:message:delivered"
    message_id: Annotated[str, Meta(max_length=64)]


class TypingStart(Event):
    """The guest is typing."""

    event: ClassVar[str] = "chat:typing:start"


class TypingStop(Event):
    """The guest has stopped typing."""

    event: ClassVar[str] = "chat:typing:stop"


class ChatClear(Event):
    """End the conversation. Always answered by chat:clear:confirmed."""

    event: ClassVar[str] = "chat:clear"


class LeaveRoom(Event):
    """End the conversation: another name for chat:clear."""

    event: ClassVar[str] = "leave-room"


class CloseRoom(Event):
    """End the conversation: another name for chat:clear."""

    event: ClassVar[str] = "close-room"


class GetStats(Event):
    """Ask for the statistics now. Answered by realtime:stats."""

    event: ClassVar[str] = "get:stats"


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


class ConnectionClosing(Event):
    """Why the server is about to close this connection for good; the client should not come back by itself."""

    event: ClassVar[str] = "connection:closing"
    code: Annotated[Code, Meta(examples=["replaced", "session_ended", "rate_limited"])]
    message: Text


class SessionRenewed(Event):
    """A fresh token, half an hour before the old one ends."""

    event: ClassVar[str] = "session:renewed"
    token: str
    expires_at: Timestamp


class RealtimeStats(Event):
    """Live counts and a bounded sample of who is online. Sent on change, at most once a second."""

    event: ClassVar[str] = "realtime:stats"
    stats: Stats
    online_users: list[OnlineUser]
    timestamp: Timestamp


class ErrorEvent(Event):
    """Base of the `*:error` events."""

    message: Text
    code: Code
    retry_after: Annotated[float, Meta(description="Seconds to wait")] | UnsetType = UNSET


class MatchError(ErrorEvent):
    """The search could not start."""

    event: ClassVar[str] = "user:match:error"


class MatchCancelError(ErrorEvent):
    """The search could not be cancelled."""

    event: ClassVar[str] = "user:match:cancel:error"


class ChatError(ErrorEvent):
    """A chat event was refused. `client_id` names the message, when it had one."""

    event: ClassVar[str] = "chat:error"
    client_id: str | UnsetType = UNSET


class StatsError(ErrorEvent):
    """The statistics could not be given."""

    event: ClassVar[str] = "get:stats:error"


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


class Matched(Event):
    """Both sides get this with the other's view: the conversation is open."""

    event: ClassVar[str] = "user:matched"
    matched_user: Partner
    room_id: RoomId
    epoch: int


class MemberEvent(Event):
    """Base of what is told about one member of the room."""

    user_id: GuestId
    username: str


class UserJoined(MemberEvent):
    """One of the two is in the room; both get one for each."""

    event: ClassVar[str] = "room:user_joined"
    message: Text


class UserLeft(MemberEvent):
    """The partner ended the conversation."""

    event: ClassVar[str] = "room:user_left"
    message: Text


class ChatCleared(MemberEvent):
    """The conversation is gone, with everything in it."""

    event: ClassVar[str] = "chat:cleared"
    reason: Literal["user_left", "session_ended"]


class ChatClearConfirmed(Event):
    """The guest's own wish to leave is done; also when there was nothing to leave."""

    event: ClassVar[str] = "chat:clear:confirmed"
    message: Text


class PartnerAway(MemberEvent):
    """The partner lost the connection; messages wait for them for `grace` seconds."""

    event: ClassVar[str] = "room:partner_away"
    message: Text
    grace: Annotated[float, Meta(description="Seconds left for the partner to come back")]


class PartnerBack(MemberEvent):
    """The partner is connected again."""

    event: ClassVar[str] = "room:partner_back"
    message: Text


class RoomResumed(Event):
    """Follows connection:established for a guest who came back; the missing chat:messages follow in order."""

    event: ClassVar[str] = "room:resumed"
    room_id: RoomId
    epoch: int
    seq: Annotated[int, Meta(description="Highest seq of the room now")]
    partner: Partner
    partner_away: bool
    delivered: Annotated[int, Meta(description="Highest seq that the partner's client has confirmed; 0 for none")]
    gap: Annotated[int, Meta(ge=0, description="Messages missing that the log no longer holds")]


class Undelivered(Struct, rename="camel", frozen=True):
    """One of the recipient's own messages that never reached the partner."""

    message_id: MessageId
    client_id: ClientMessageId | UnsetType = UNSET


class RoomClosed(MemberEvent):
    """The conversation ended without a farewell."""

    event: ClassVar[str] = "room:closed"
    message: Text
    reason: Literal["user_disconnected", "user_left", "session_ended", "partner_offline"]
    undelivered: list[Undelivered]


class MessageSent(Event, kw_only=False):
    """Accepted and logged."""

    event: ClassVar[str] = "chat:message:sent"
    message_id: MessageId
    timestamp: Timestamp
    status: Literal["sent"]
    seq: int
    client_id: ClientMessageId | UnsetType = UNSET


class MessageDelivered(Event, kw_only=False):
    """To the recipient: follows the message. To the author: the recipient's client has it (and all before it)."""

    event: ClassVar[str] = "chat:message:delivered"
    message_id: MessageId
    timestamp: Timestamp


class TypingStarted(MemberEvent):
    """The partner is typing."""

    event: ClassVar[str] = "chat:typing:start"


class TypingStopped(MemberEvent):
    """The partner has stopped typing."""

    event: ClassVar[str] = "chat:typing:stop"


CHAT_INBOUND: tuple[type[Event], ...] = (
    MatchRequest,
    MatchCancel,
    SendMessage,
    ConfirmDelivery,
    TypingStart,
    TypingStop,
    ChatClear,
    LeaveRoom,
    CloseRoom,
    GetStats,
)
CHAT_OUTBOUND: tuple[type[Event | Message], ...] = (
    ConnectionEstablished,
    ConnectionClosing,
    SessionRenewed,
    RealtimeStats,
    MatchSearching,
    MatchNoUsers,
    Matched,
    MatchCancelled,
    MatchError,
    MatchCancelError,
    UserJoined,
    UserLeft,
    PartnerAway,
    PartnerBack,
    RoomResumed,
    RoomClosed,
    Message,
    MessageSent,
    MessageDelivered,
    ChatError,
    ChatCleared,
    ChatClearConfirmed,
    TypingStarted,
    TypingStopped,
    StatsError,
)
