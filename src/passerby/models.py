"""The data models of the contract: guests, messages, rooms, statistics.

Structs are the one source for validation, for the OpenAPI and AsyncAPI documents, and for the web
client's TypeScript types. Attribute names are snake_case here and camelCase on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

TRAIT_LENGTH: Final = 64
"""Characters of a location, gender or language, at most."""
_END: Final = r"$(?!\n)"
"""The end of the text and nothing else: Python's `$` alone would also stand before a last newline."""

INVISIBLE: Final = r"\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
"""Control and bidi-override characters: what is shown to strangers must look like what it is."""

Timestamp = Annotated[
    str,
    Meta(description="ISO 8601 UTC with milliseconds and Z", examples=["2023-12-07T10:30:00.000Z"]),
]
GuestId = Annotated[str, Meta(description="Public id of a guest", examples=["guest_k3v9x2m4q8w1z7b5"])]
SessionId = Annotated[
    str,
    Meta(description="Secret to its owner: never sent to anybody else, and opens nothing by itself"),
]
RoomId = Annotated[str, Meta(description="The two guest ids, sorted, joined by `_`")]
MessageId = Annotated[str, Meta(description="msg_<epoch ms>_<random>", examples=["msg_1701945000123_4fzyo82mvyr9"])]
ClientMessageId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="Chosen by the sender: the same one again is the same message, delivered once",
    ),
]
Username = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=20,
        pattern=rf"^[A-Za-z0-9_]+{_END}",
        description="3-20 of A-Z a-z 0-9 _",
        examples=["CoolPanda1234"],
    ),
]
Trait = Annotated[
    str,
    Meta(
        max_length=TRAIT_LENGTH,
        pattern=rf"^[^{INVISIBLE}]*{_END}",
        description="Free text of a guest about themselves, at most 64 characters",
    ),
]
LanguageTag = Annotated[
    str,
    Meta(
        max_length=TRAIT_LENGTH,
        pattern=rf"^[A-Za-z]{{2,8}}(-[A-Za-z0-9]{{1,8}})*{_END}",
        description="BCP 47 language tag",
        examples=["en", "pt-BR"],
    ),
]


class Guest(Struct, rename="camel", kw_only=True):
    """A guest's session, whole: what the session store keeps. Only its owner ever sees `session_id`."""

    id: GuestId
    session_id: SessionId
    username: Username
    is_online: bool = False
    is_searching: bool = False
    in_chat: bool = False
    connected_user: GuestId | None = None
    location: Trait | None = None
    gender: Trait | None = None
    language: LanguageTag | None = None
    socket_id: str | None = None
    last_seen: Timestamp
    created_at: Timestamp
    connected_at: Timestamp | None = None


class Partner(Struct, rename="camel", frozen=True):
    """What one passer-by learns of the other."""

    id: GuestId
    username: str
    is_guest: bool
    location: str | None
    gender: str | None
    language: str | None

    @classmethod
    def of(cls, guest: Guest) -> Partner:
        """Return the view of `guest` for the person they talk to."""
        return cls(guest.id, guest.username, True, guest.location, guest.gender, guest.language)  # noqa: FBT003 - isGuest is always true


class OnlineUser(Struct, rename="camel", frozen=True):
    """The public view of a guest: what anybody may see. Holds no session id."""

    id: GuestId
    username: str
    is_online: bool
    is_searching: bool
    last_seen: Timestamp
    location: str | None
    gender: str | None
    language: str | None
    is_guest: bool

    @classmethod
    def of(cls, guest: Guest) -> OnlineUser:
        """Return the public view of `guest`."""
        return cls(
            id=guest.id,
            username=guest.username,
            is_online=guest.is_online,
            is_searching=guest.is_searching,
            last_seen=guest.last_seen,
            location=guest.location,
            gender=guest.gender,
            language=guest.language,
            is_guest=True,
        )


MessageType = Literal["text", "file", "voice"]
MessageStatus = Literal["sending", "sent", "delivered"]


class Message(Struct, rename="camel", gc=False):
    """One message of a conversation, as logged and as sent to the partner.

    `seq` numbers the messages of a room from 1 without holes; both members' messages share it.
    Nothing in it can refer back to it, so the garbage collector need not look (`gc=False`).
    `client_id` comes back to the sender on resume, so that their client knows its own message again.
    """

    event: ClassVar[str] = "chat:message"
    id: MessageId
    sender_id: GuestId
    sender_username: str
    type: MessageType
    content: str | dict[str, Any]
    timestamp: Timestamp
    status: MessageStatus
    seq: int
    client_id: ClientMessageId | UnsetType = UNSET


FileCategory = Literal["image", "video", "audio", "document"]
FileId = Annotated[str, Meta(description="Unguessable, and worthless without a signed link", examples=["file_Zt3…"])]
Link = Annotated[
    str,
    Meta(
        description="Path with all that is needed to fetch the bytes; works until the file expires or the room closes"
    ),
]


class StoredFile(Struct, frozen=True, kw_only=True):
    """What the server knows of a file: the one truth, whatever its sender says about it."""

    id: FileId
    room_id: RoomId
    epoch: int
    owner: GuestId
    voice: bool
    """Uploaded as a voice note."""
    filename: str
    mime_type: str
    category: FileCategory
    inline: bool
    """May be shown in a page; everything else is an attachment."""
    size: int
    expires_at: float
    """Epoch seconds."""
    seconds: float | None = None
    """How long it plays."""
    width: int | None = None
    height: int | None = None


class FileInfo(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """A file as its two people see it: the upload's answer, and the content of `file` and `voice` messages."""

    file_id: FileId
    filename: str
    file_type: FileCategory
    mime_type: Annotated[str, Meta(description="What the bytes say, not what the sender says")]
    file_size: Annotated[int, Meta(ge=1, description="Bytes, as stored: pictures lose their metadata")]
    file_url: Link
    temp_url: Link
    download_url: Annotated[str, Meta(description="As fileUrl, but always as an attachment")]
    is_image: bool
    file_type_category: FileCategory
    expires_at: Timestamp
    duration: Annotated[float, Meta(gt=0, description="Seconds")] | UnsetType = UNSET
    width: Annotated[int, Meta(ge=1, description="Pixels")] | UnsetType = UNSET
    height: Annotated[int, Meta(ge=1, description="Pixels")] | UnsetType = UNSET


class RoomSummary(Struct, rename="camel", frozen=True):
    """The room a guest is in, told when they connect."""

    room_id: RoomId
    epoch: int
    seq: int
    partner: Partner


class Limits(Struct, rename="camel", frozen=True, kw_only=True):
    """What a client has to keep to; all are settings. Told when it connects, and by `GET /api/limits`."""

    text_length: Annotated[int, Meta(ge=1, description="Characters of a text message, as a person counts them")]
    file_size: Annotated[int, Meta(ge=1, description="Bytes of one file")]
    room_files_size: Annotated[int, Meta(ge=1, description="Bytes of all files of a conversation")]
    guest_files_size: Annotated[int, Meta(ge=1, description="Bytes of all files of one guest in a conversation")]
    files_per_message: Annotated[int, Meta(ge=1, description="Files that a client offers to send at once")]
    file_lifetime: Annotated[float, Meta(gt=0, description="Seconds that a file can be fetched, at most")]
    voice_duration: Annotated[float, Meta(gt=0, description="Seconds of a voice note")]
    picture_types: Annotated[list[str], Meta(description="MIME types of the pictures that are taken")]
    picture_pixels: Annotated[int, Meta(ge=1, description="Width times height of a picture")]
    ring_timeout: Annotated[float, Meta(gt=0, description="Seconds that a call rings")]
    grace: Annotated[float, Meta(ge=0, description="Seconds to come back in after a lost connection")]


class Stats(Struct, rename="camel", frozen=True):
    """The live counts. `connected_users` is pairs: guests in a room ÷ 2."""

    total_users: Annotated[int, Meta(ge=0, description="Sessions alive, connected or not")]
    online_users: Annotated[int, Meta(ge=0, description="Guests with a live connection")]
    active_users: Annotated[int, Meta(ge=0, description="Connected guests, by the nodes' shared counters")]
    available_users: Annotated[int, Meta(ge=0, description="Online guests who are in no room")]
    connected_users: Annotated[int, Meta(ge=0, description="Pairs in a room, a member in the grace window included")]


class Ticket(Struct, frozen=True):
    """One guest's wish to be matched. `entered_at` (epoch seconds) is its place, kept when it comes back."""

    id: str
    guest_id: str
    entered_at: float
