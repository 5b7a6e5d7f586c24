"""The events of a conversation, in and out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passerby.events import ErrorEvent, Event, Text
from passerby.models import (
    ClientMessageId,
    GuestId,
    Message,
    MessageId,
    MessageType,
    Partner,
    RoomId,
    Timestamp,
)

# ── client to server ──────────────────────────────────────────────────────────────────────────────


class Resume(Struct, rename="camel", frozen=True):
    """`auth.resume`: the last thing the client saw of a room, so that only what is missing is replayed."""

    room_id: Annotated[str, Meta(max_length=128)]
    epoch: Annotated[int, Meta(ge=0)]
    seq: Annotated[
        int,
        Meta(ge=0, description="Highest seq up to which the client has every message; 0 for none"),
    ]


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


class ChatError(ErrorEvent):
    """A chat event was refused. `client_id` names the message, when it had one."""

    event: ClassVar[str] = "chat:error"
    client_id: str | UnsetType = UNSET


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


INBOUND: tuple[type[Event], ...] = (
    SendMessage,
    ConfirmDelivery,
    TypingStart,
    TypingStop,
    ChatClear,
    LeaveRoom,
    CloseRoom,
)
OUTBOUND: tuple[type[Event | Message], ...] = (
    Matched,
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
)
