"""The data models of the contract: guests, messages, files, rooms, statistics.

The Structs are the only source for validation, for the OpenAPI and AsyncAPI documents, and for the web
client's TypeScript types. Attribute names are snake_case here and camelCase on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, json
from msgspec.structs import replace

TRAIT_LENGTH: Final = 64
"""Maximum characters of a location, gender or language."""
MOST_INTERESTS: Final = 5
"""Interests of one search at most: each costs the queue some work."""
MOST_LANGUAGES: Final = 3
"""Languages of one search at most, for the same reason."""
INTEGER: Final = 2**63 - 1
"""Largest integer on the wire: what 64 bits hold. Ours stay below 2^53, which every JSON client represents exactly."""
_END: Final = r"$(?!\n)"
"""The end of the text. Python's `$` alone also matches before a final newline."""

INVISIBLE: Final = r"\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
"""Control, zero-width and bidi characters: they could disguise text that is shown to strangers."""

Timestamp = Annotated[
    str,
    Meta(description="ISO 8601 UTC with milliseconds and Z", examples=["2023-12-07T10:30:00.000Z"]),
]
GuestId = Annotated[str, Meta(description="Public id of a guest", examples=["guest_748f0725838e4485c2f7"])]
SessionId = Annotated[
    str,
    Meta(description="Sent only to the session's owner; gives no access without a token"),
]
Place = Annotated[
    str,
    Meta(
        description="Of several nodes, the one on which the guest lives: give it back as `at` in the query of later "
        "connections. Says nothing else; left out if there is one node",
        examples=["node_5d41402abc4b"],
    ),
]
RoomId = Annotated[str, Meta(description="The two guest ids, sorted, joined by `_`")]
MessageId = Annotated[str, Meta(description="msg_<epoch ms>_<random>", examples=["msg_1701945000123_c8647f20864d"])]
ClientMessageId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="Chosen by the sender; a message with the same id is a duplicate and is delivered only once",
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
        description="Free text about the guest, at most 64 characters",
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


class Meeting(Struct, array_like=True, frozen=True):
    """That a guest was in a conversation with another one, and when it was last so (seconds since the Unix epoch)."""

    guest_id: GuestId
    at: float


class Guest(Struct, rename="camel", kw_only=True):
    """A guest's complete session, as kept by the session store. Only the guest receives `session_id`.

    What comes after `connected_at` is shown to nobody. `met` are who was met lately, the latest last; `never` who must
    not be met again, by their `root`; `origin` is the id of the first of the sessions in whose place this one was made,
    None if it is the first.
    """

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
    met: list[Meeting] = []
    never: list[GuestId] = []
    origin: GuestId | None = None
    device: str | None = None
    """What the browser is known by (SHA-256 of its id as hex, see `safety.devices`); None: it has told none."""
    device_since: float | None = None
    """When the browser got its id; seconds since the Unix epoch."""
    rules: str | None = None
    """The version of the rules that the guest has accepted."""
    told: int = 0
    """The last warning that the guest was told, by its id."""
    is_of_age: bool | None = None
    """Whether the guest is old enough; None: nobody has asked."""

    @property
    def root(self) -> GuestId:
        """The id by which others remember this guest, whatever session it is in the same browser."""
        if self.origin is not None:
            return self.origin
        return self.id if self.device is None else f"guest_{self.device[:20]}"


class Partner(Struct, rename="camel", frozen=True):
    """What a guest learns about the partner."""

    id: GuestId
    username: str
    is_guest: bool
    location: str | None
    gender: str | None
    language: str | None

    @classmethod
    def of(cls, guest: Guest) -> Partner:
        """Return what the partner of `guest` may see."""
        return cls(guest.id, guest.username, True, guest.location, guest.gender, guest.language)  # noqa: FBT003 - isGuest is always true


class OnlineUser(Struct, rename="camel", frozen=True):
    """The public view of a guest, visible to every guest. Contains no session id."""

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

    `seq` numbers the messages of a room from 1 without gaps, for both members together. A replay to the sender
    contains `client_id`, so that the client recognises its own messages. A message contains no reference cycles, so
    the garbage collector need not track it (`gc=False`).
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


class MessageIdentity(Struct, rename="camel", frozen=True):
    """What identifies a message: the part of its JSON that is read again after it was sent."""

    id: MessageId
    timestamp: Timestamp
    seq: int
    client_id: ClientMessageId | UnsetType = UNSET


read_identity = json.Decoder(MessageIdentity).decode
"""Reads the identity from a message's JSON, whole or without its content."""

SMALL_MESSAGE: Final = 512
"""Maximum bytes of a message's JSON that may be kept whole for its identity, because it costs nothing to make."""


def without_content(message: Message) -> bytes:
    """Return the JSON of `message` with an empty content, at most about 600 bytes. `read_identity` reads it."""
    return json.encode(replace(message, content=""))


FileCategory = Literal["image", "video", "audio", "document"]
FileId = Annotated[str, Meta(description="Random; gives no access without a signed link", examples=["file_Zt3…"])]
Link = Annotated[
    str,
    Meta(description="Signed path to download the file; valid until the file expires or the room closes"),
]


class StoredFile(Struct, frozen=True, kw_only=True):
    """The server's metadata of a file. The sender's claims about the file are not used."""

    id: FileId
    room_id: RoomId
    epoch: int
    owner: GuestId
    voice: bool
    """Whether it was uploaded as a voice note."""
    filename: str
    mime_type: str
    category: FileCategory
    inline: bool
    """Whether it may be shown in a page; other files are sent as attachments."""
    size: int
    expires_at: float
    """Seconds since the Unix epoch."""
    seconds: float | None = None
    """Duration of audio or video."""
    width: int | None = None
    height: int | None = None


class FileInfo(Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """A file as sent to both members of the room: response of the upload, content of `file` and `voice` messages."""

    file_id: FileId
    filename: str
    file_type: FileCategory
    mime_type: Annotated[str, Meta(description="Detected from the file's bytes, not taken from the sender")]
    file_size: Annotated[int, Meta(ge=1, description="Bytes, as stored; metadata of pictures is removed")]
    file_url: Link
    temp_url: Link
    download_url: Annotated[str, Meta(description="Like fileUrl, but always served as an attachment")]
    is_image: bool
    file_type_category: FileCategory
    expires_at: Timestamp
    duration: Annotated[float, Meta(gt=0, description="Seconds")] | UnsetType = UNSET
    width: Annotated[int, Meta(ge=1, description="Pixels")] | UnsetType = UNSET
    height: Annotated[int, Meta(ge=1, description="Pixels")] | UnsetType = UNSET


class RoomSummary(Struct, rename="camel", frozen=True):
    """The guest's room, sent when they connect."""

    room_id: RoomId
    epoch: int
    seq: int
    partner: Partner


Want = Literal["gender", "location"]

Step = Literal["links", "pictures", "files", "voice", "audio", "video"]
"""What a stranger is asked for before the first one of a conversation is sent; `audio` and `video` are calls."""
STEPS: Final[tuple[Step, ...]] = ("links", "pictures", "files", "voice", "audio", "video")


class MatchingLimits(Struct, rename="camel", frozen=True, kw_only=True):
    """What a search may ask for. Times are in seconds."""

    interests: Annotated[int, Meta(ge=0, description="Maximum interests")]
    interest_length: Annotated[int, Meta(ge=1, description="Maximum characters of an interest")]
    languages: Annotated[int, Meta(ge=1, description="Maximum languages")]
    wants: Annotated[list[Want], Meta(description="What may be wanted of the partner")]
    only: Annotated[bool, Meta(description="Whether a guest may choose that nothing is given up")]


class Limits(Struct, rename="camel", kw_only=True):
    """Limits for clients; all are settings. Sent on connect, and returned by `GET /api/limits`.

    Times are in seconds and may have a fraction.
    """

    text_length: Annotated[int, Meta(ge=1, description="Maximum characters (grapheme clusters) of a text message")]
    file_size: Annotated[int, Meta(ge=1, description="Maximum bytes of one file")]
    room_files_size: Annotated[int, Meta(ge=1, description="Maximum bytes of all files of a conversation")]
    guest_files_size: Annotated[int, Meta(ge=1, description="Maximum bytes of all files of one guest")]
    files_per_message: Annotated[
        int, Meta(ge=1, description="Maximum number of files that a client offers to send at once")
    ]
    file_lifetime: Annotated[float, Meta(gt=0, description="Maximum seconds that a file can be downloaded")]
    voice_duration: Annotated[float, Meta(gt=0, description="Maximum seconds of a voice note")]
    picture_types: Annotated[list[str], Meta(description="MIME types of accepted pictures")]
    picture_pixels: Annotated[int, Meta(ge=1, description="Maximum pixels of a picture (width times height)")]
    ring_timeout: Annotated[float, Meta(gt=0, description="Seconds until an unanswered call times out")]
    grace: Annotated[float, Meta(ge=0, description="Seconds to reconnect after a lost connection")]
    undo: Annotated[float, Meta(ge=0, description="Seconds to take back a chat:clear with `undo`; 0: never")]
    matching: MatchingLimits
    consent: Annotated[
        list[Step],
        Meta(description="What the partner is asked for before the first one, if their client can ask (`consent`)"),
    ]


Rule = Literal["sexual", "threats", "hate", "spam", "private_data", "under_age", "other"]
"""Why somebody is reported, and which rule a decision names. `sexual` is also for a minor in danger."""
RULES: Final[tuple[Rule, ...]] = ("sexual", "threats", "hate", "spam", "private_data", "under_age", "other")
Words = Annotated[str, Meta(max_length=2000, description="Free text for the moderators")]


class BanNotice(Struct, rename="camel", frozen=True, omit_defaults=True):
    """What a banned guest is told: nobody is kept out without a word."""

    rule: Rule
    words: Annotated[str, Meta(description="The reason, written by a moderator; empty if `shared`")]
    since: Timestamp
    until: Annotated[Timestamp, Meta(description="Left out: it does not end by itself")] | UnsetType = UNSET
    appeal_code: Annotated[str, Meta(description="For POST /api/appeals; a secret of the guest")] | UnsetType = UNSET
    shared: Annotated[
        bool,
        Meta(description="Only the address or its network is known: it may be about somebody else who uses it too"),
    ] = False


class House(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """What a guest is asked before the first session, and what they may read. Returned by `GET /api/house`."""

    age_minimum: Annotated[int, Meta(ge=0, description="Years; 0: nobody is asked")] = 0
    age_check: Annotated[bool, Meta(description="Whether a provider checks the age: see GET /api/age")] = False
    rules: Annotated[str, Meta(description="Version of the rules to accept; empty: there are none")] = ""
    pages: Annotated[list[Literal["rules", "privacy", "contact"]], Meta(description="See GET /api/pages/{name}")] = []
    reports: Annotated[bool, Meta(description="Whether reports are taken")] = False
    report_window: Annotated[float, Meta(ge=0, description="Seconds after the end in which one can report")] = 0.0


RedisState = Annotated[
    Literal["off", "degraded", "resync", "normal"],
    Meta(
        description="off: `REDIS_URL` is not set. normal: Redis has everything. resync: it is in use, and is given "
        "what it lacks. degraded: it cannot be used, and the memory of the process goes on alone"
    ),
]


class RedisStats(Struct, rename="camel", frozen=True):
    """How Redis has fared since the process began."""

    state: RedisState
    degraded: Annotated[int, Meta(description="How often Redis was lost")]
    resync: Annotated[int, Meta(description="How often everything was written again")]
    normal: Annotated[int, Meta(description="How often Redis had everything")]
    unlogged: Annotated[int, Meta(description="Messages that were acknowledged while Redis did not have them")]


class Stats(Struct, rename="camel", frozen=True):
    """The live counts. `connected_users` counts pairs: guests in a room ÷ 2."""

    total_users: Annotated[int, Meta(ge=0, description="Sessions that have not expired, connected or not")]
    online_users: Annotated[int, Meta(ge=0, description="Guests with a connection")]
    active_users: Annotated[int, Meta(ge=0, description="Connected guests, from the counters shared by all nodes")]
    available_users: Annotated[int, Meta(ge=0, description="Connected guests who are in no room")]
    connected_users: Annotated[int, Meta(ge=0, description="Pairs in a room, including members in the grace window")]


Mode = Annotated[
    Literal["text", "audio", "video"],
    Meta(description="What the guest wants to do. Guests with different modes never meet"),
]
MODES: Final[tuple[Mode, ...]] = ("text", "audio", "video")


class Wish(Struct, rename="camel", frozen=True, omit_defaults=True):
    """Whom a guest wants to meet, and what others may want to know. All texts are folded: see `matching.folding`."""

    mode: Mode = "text"
    interests: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """The interests as the guest has written them, in the same order."""
    languages: tuple[str, ...] = ()
    """Primary language subtags, the preferred one first; none: any."""
    gender: str = ""
    """The guest's own; empty: unknown."""
    location: str = ""
    wants_gender: str = ""
    """The partner's; empty: any."""
    wants_location: str = ""
    only: bool = False
    """Nothing of it is given up, however long it takes."""
    patient: bool = False
    """The client has told a wish, so it is given time. Who has not is matched with anybody at once."""
    origin: GuestId | Literal[""] = ""
    """The guest's; empty: the session is the first. It comes before the lists: see `queue_enter.lua`."""
    met: tuple[GuestId, ...] = ()
    """Whom to meet only if nobody else comes."""
    never: tuple[GuestId, ...] = ()
    """Whom not to meet at all, by their `Guest.root`."""


class Ticket(Struct, rename="camel", frozen=True, omit_defaults=True):
    """A guest's search. `entered_at` (seconds since the Unix epoch) is its position, kept when the search resumes."""

    id: str
    guest_id: str
    entered_at: float
    node: str = ""
    """The node on which the guest lives."""
    wish: Wish = Wish()
