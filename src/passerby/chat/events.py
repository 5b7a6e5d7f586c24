"""The events of a conversation, in both directions."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from passerby.events import ErrorEvent, Event, Text
from passerby.models import (
    INTEGER,
    ClientMessageId,
    GuestId,
    Message,
    MessageId,
    MessageType,
    Partner,
    Place,
    RoomId,
    Timestamp,
)

# ── client to server ──────────────────────────────────────────────────────────────────────────────


class Resume(Struct, rename="camel", frozen=True):
    """`auth.resume`: the client's position in a room, so that only missing messages are replayed."""

    room_id: Annotated[str, Meta(max_length=128)]
    epoch: Annotated[int, Meta(ge=0, le=INTEGER)]
    seq: Annotated[
        int,
        Meta(ge=0, le=INTEGER, description="Highest seq up to which the client has every message; 0 for none"),
    ]
    reloaded: Annotated[bool, Meta(description="The page was loaded anew; the partner is told")] = False


class SendMessage(Event):
    """A message to the partner. Answered by chat:message:sent (and the ack) or chat:error."""

    event: ClassVar[str] = "chat:message"
    type: MessageType
    content: Annotated[
        str | dict[str, Raw],
        Meta(
            description="text: 1 to `limits.textLength` characters (grapheme clusters), not blank; "
            "newline and tab are allowed. "
            "file, voice: the response of the upload, or at least its `fileId`; unknown fields are passed to the "
            "partner, up to 2 KiB"
        ),
    ]
    client_id: ClientMessageId | None = None


class ConfirmDelivery(Event):
    """The recipient's client has received the message (and every one before it). Forwarded to its author."""

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
    undo: Annotated[
        bool, Meta(description="Keep the conversation for `limits.undo` seconds, so that chat:undo can bring it back")
    ] = False


class ChatUndo(Event):
    """Take back a chat:clear with `undo`. Answered by room:restored, or chat:undo:error."""

    event: ClassVar[str] = "chat:undo"
    resume: Resume


class LeaveRoom(Event):
    """End the conversation: alias of chat:clear."""

    event: ClassVar[str] = "leave-room"


class CloseRoom(Event):
    """End the conversation: alias of chat:clear."""

    event: ClassVar[str] = "close-room"


class ChatError(ErrorEvent):
    """A chat event was refused. `client_id` is the message's, if it had one."""

    event: ClassVar[str] = "chat:error"
    client_id: str | UnsetType = UNSET


class UndoError(ErrorEvent):
    """The conversation cannot be brought back."""

    event: ClassVar[str] = "chat:undo:error"


class Shared(Struct, rename="camel", frozen=True):
    """What the two have in common, of what they have told."""

    interests: Annotated[list[str], Meta(description="As the recipient has written them")]
    language: Annotated[str | None, Meta(description="Primary language subtag", examples=["en"])]


class Matched(Event):
    """The conversation is open. Both members get this, with the public view of the partner."""

    event: ClassVar[str] = "user:matched"
    matched_user: Partner
    room_id: RoomId
    epoch: int
    at: Place | UnsetType = UNSET
    shared: Shared | UnsetType = UNSET
    met_before: Annotated[Literal[True] | UnsetType, Meta(description="The two have met lately; nobody else came")] = (
        UNSET
    )


class MemberEvent(Event):
    """Base of events about one member of the room."""

    user_id: GuestId
    username: str


class UserJoined(MemberEvent):
    """A member has joined the room; both members get one event for each member."""

    event: ClassVar[str] = "room:user_joined"
    message: Text


class UserLeft(MemberEvent):
    """The partner ended the conversation."""

    event: ClassVar[str] = "room:user_left"
    message: Text
    undo: (
        Annotated[float, Meta(gt=0, description="Seconds in which the partner may come back, by chat:undo")] | UnsetType
    ) = UNSET


class ChatCleared(MemberEvent):
    """The conversation has ended, and everything in it is deleted."""

    event: ClassVar[str] = "chat:cleared"
    reason: Literal["user_left", "session_ended"]


class ChatClearConfirmed(Event):
    """Confirms that the guest has left; also sent when they were in no room."""

    event: ClassVar[str] = "chat:clear:confirmed"
    message: Text
    undo: (
        Annotated[float, Meta(gt=0, description="Seconds in which chat:undo brings the conversation back")] | UnsetType
    ) = UNSET


class RoomRestored(MemberEvent):
    """The member `user_id` has taken back that they left: the conversation goes on. Both members get this.

    room:resumed and what is missing follow for the member who came back.
    """

    event: ClassVar[str] = "room:restored"
    room_id: RoomId
    epoch: int
    seq: int
    partner: Partner
    message: Text


class PartnerAway(MemberEvent):
    """The partner lost the connection. Messages are kept for them for `grace` seconds."""

    event: ClassVar[str] = "room:partner_away"
    message: Text
    grace: Annotated[float, Meta(description="Seconds left for the partner to reconnect")]


class PartnerBack(MemberEvent):
    """The partner is connected again."""

    event: ClassVar[str] = "room:partner_back"
    message: Text
    reloaded: Annotated[
        Literal[True] | UnsetType,
        Meta(description="Their page was loaded anew, and has left a call until it joins again"),
    ] = UNSET


class RoomResumed(Event):
    """Sent after connection:established to a guest who returned; the missing chat:messages follow in order."""

    event: ClassVar[str] = "room:resumed"
    room_id: RoomId
    epoch: int
    seq: Annotated[int, Meta(description="Current highest seq of the room")]
    partner: Partner
    partner_away: bool
    delivered: Annotated[int, Meta(description="Highest seq that the partner's client has confirmed; 0 for none")]
    gap: Annotated[int, Meta(ge=0, description="Missing messages that are no longer in the log")]


class Undelivered(Struct, rename="camel", frozen=True):
    """One of the recipient's own messages that did not reach the partner."""

    message_id: MessageId
    client_id: ClientMessageId | UnsetType = UNSET


class RoomClosed(MemberEvent):
    """The conversation ended while the guest or the partner was disconnected."""

    event: ClassVar[str] = "room:closed"
    message: Text
    reason: Literal["user_disconnected", "user_left", "session_ended", "partner_offline"]
    undelivered: list[Undelivered]


class MessageSent(Event, kw_only=False):
    """The message is accepted and logged."""

    event: ClassVar[str] = "chat:message:sent"
    message_id: MessageId
    timestamp: Timestamp
    status: Literal["sent"]
    seq: int
    client_id: ClientMessageId | UnsetType = UNSET


class MessageDelivered(Event, kw_only=False):
    """To the recipient: follows the message. To the author: the recipient has received it (and all before it)."""

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
    ChatUndo,
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
    RoomRestored,
    UndoError,
    TypingStarted,
    TypingStopped,
)
