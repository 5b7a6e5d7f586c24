"""Bodies of the HTTP contract. Responses have an envelope: `success`, an optional `message`, and `data`."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from passerby.calls.ice import IceServers
from passerby.errors import BannedError, Code, PasserbyError, RequiredError
from passerby.models import (
    BanNotice,
    FileInfo,
    GuestId,
    House,
    LanguageTag,
    Limits,
    OnlineUser,
    RedisState,
    RedisStats,
    Rule,
    SessionId,
    Stats,
    Timestamp,
    Trait,
    Username,
    Words,
)

T = TypeVar("T")


class LegacyLocation(Struct, rename="camel", frozen=True):
    """The location format of old clients; stored as one string, `city, country`."""

    country: Trait | None = None
    city: Trait | None = None


class NewGuest(Struct, rename="camel", frozen=True):
    """Body of POST /api/guest; all fields are optional."""

    username: Username | None = None
    location: Trait | LegacyLocation | None = None
    gender: Trait | None = None
    language: LanguageTag | None = None
    born_on: (
        Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", description="Date of birth, if it is asked for; not kept")]
        | None
    ) = None
    rules: Annotated[str, Meta(max_length=64, description="Version of the rules that the guest accepts")] | None = None


class TraitsUpdate(Struct, rename="camel", frozen=True):
    """Body of POST /api/guest/location: omitted fields are unchanged, null clears a field."""

    location: Trait | LegacyLocation | UnsetType | None = UNSET
    gender: Trait | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET


class GuestUser(Struct, rename="camel", frozen=True):
    """The guest's own view of the session."""

    id: GuestId
    username: str
    is_guest: bool
    session_id: SessionId
    location: str | None
    gender: str | None
    language: str | None


class GuestCreated(Struct, rename="camel", frozen=True, omit_defaults=True):
    """A new session and its token."""

    token: str
    user: GuestUser
    device: Annotated[str, Meta(description="What this browser is known by: send it as the header `Device` next time")]
    ended: (
        Annotated[
            BanNotice, Meta(description="Why moderators ended the session before, if they did while one was away")
        ]
        | UnsetType
    ) = UNSET


class GuestData(Struct, rename="camel", frozen=True):
    """The authenticated guest."""

    user: GuestUser


class PublicGuestData(Struct, rename="camel", frozen=True):
    """The public view of a session."""

    user: OnlineUser


class UsernameData(Struct, rename="camel", frozen=True):
    """A random username, in the AdjectiveNounNumber pattern."""

    username: str


class StatsData(Struct, rename="camel", frozen=True):
    """The live counts and a bounded sample of online guests."""

    stats: Stats
    online_users: list[OnlineUser]
    timestamp: Timestamp


class OnlineUsersData(Struct, rename="camel", frozen=True):
    """A bounded sample of online guests; `count` is the number of all online guests."""

    online_users: list[OnlineUser]
    count: int
    timestamp: Timestamp


class Searching(Struct, frozen=True):
    """How many guests search in each mode: those of different modes never meet."""

    text: Annotated[int, Meta(ge=0)]
    audio: Annotated[int, Meta(ge=0)]
    video: Annotated[int, Meta(ge=0)]


class MatchingStatus(Struct, rename="camel", frozen=True, omit_defaults=True):
    """How searches fare now, of all processes together. About a second old."""

    waiting: Annotated[Searching, Meta(description="Guests who search now, by mode")]
    suggestions: Annotated[
        list[str], Meta(description="Interests with which several guests search now, the most frequent first")
    ]
    usual_wait: (
        Annotated[float, Meta(ge=0, description="Seconds that searches have taken lately at this hour, the median")]
        | UnsetType
    ) = UNSET
    opens_in: (
        Annotated[float, Meta(gt=0, description="Seconds until guests can meet; left out: they can")] | UnsetType
    ) = UNSET
    closes_in: (
        Annotated[float, Meta(gt=0, description="Seconds until no search can begin; left out: never")] | UnsetType
    ) = UNSET


class SocketStats(Struct, rename="camel", frozen=True, omit_defaults=True):
    """Counts of this process's connections."""

    connections: int
    websocket: int
    polling: int
    guests: int
    rooms: int
    waiting: int
    redis: Annotated[RedisStats, Meta(description="Absent if `REDIS_URL` is not set")] | UnsetType = UNSET


class Health(Struct, rename="camel", frozen=True):
    """Liveness."""

    status: str
    version: str
    uptime: float
    redis: RedisState


class SchemaPaths(Struct, rename="camel", frozen=True):
    """Where the documents for client writers are, for this server's origin."""

    openapi: str
    asyncapi: str


class Version(Struct, rename="camel", frozen=True):
    """Which version answers, and what it understands."""

    version: str
    frames: Annotated[int, Meta(description="Version of what nodes tell each other; the one before is understood")]
    database: Annotated[str | None, Meta(description="Revision of the database's tables; null without a database")]
    schema: SchemaPaths


class Readiness(Struct, rename="camel", frozen=True):
    """All storage adapters can serve, if need be from the memory of the process."""

    status: Literal["ready"]
    redis: RedisState


class Success(Struct, Generic[T], rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """The envelope of successful responses."""

    success: bool
    data: T
    message: str | UnsetType = UNSET


class FieldError(Struct, rename="camel", frozen=True):
    """An invalid field of the body."""

    field: str
    message: str


class Failure(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """The envelope of error responses."""

    success: bool
    message: str
    code: Code
    errors: list[FieldError] | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET
    ban: Annotated[BanNotice, Meta(description="Of banned")] | UnsetType = UNSET
    challenge: Annotated[dict[str, Any], Meta(description="Of proof_required: an ALTCHA challenge")] | UnsetType = UNSET

    @classmethod
    def of(cls, error: PasserbyError) -> Failure:
        """Return what a client is told of `error`."""
        challenge = error.challenge if isinstance(error, RequiredError) else None
        return cls(
            success=False,
            message=error.message,
            code=error.code,
            errors=[FieldError(error.field, error.message)] if error.field else UNSET,
            retry_after=error.retry_after if error.retry_after is not None else UNSET,
            ban=error.notice if isinstance(error, BannedError) else UNSET,
            challenge=UNSET if challenge is None else challenge,
        )


class ReceiptQuestion(Struct, rename="camel", frozen=True):
    """Body of POST /api/reports/status."""

    receipt: Annotated[str, Meta(max_length=64)]


class ReportStatus(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """What has become of a report."""

    state: Literal["waiting", "decided", "dismissed"]
    rule: Rule
    action: Literal["none", "warning", "end_session", "ban"] = "none"
    reported_at: Timestamp
    decided_at: Timestamp | UnsetType = UNSET


class AppealQuestion(Struct, rename="camel", frozen=True):
    """Body of POST /api/appeals/status."""

    code: Annotated[str, Meta(max_length=64)]


class NewAppeal(Struct, rename="camel", frozen=True):
    """Body of POST /api/appeals."""

    code: Annotated[str, Meta(max_length=64)]
    words: Annotated[Words, Meta(min_length=1)]


class AppealStatus(Struct, rename="camel", frozen=True, omit_defaults=True, kw_only=True):
    """A ban, and what has become of the appeal against it."""

    ban: BanNotice
    ended: bool = False
    """Whether the ban has ended, or was lifted."""
    state: Literal["none", "waiting", "upheld", "rejected"]
    words: str = ""
    answer: str = ""


class HousePage(Struct, rename="camel", frozen=True):
    """A page of the operator's, as HTML without scripts, styles or foreign pictures."""

    html: str
    version: str


HTTP_MODELS: tuple[type, ...] = (
    ReceiptQuestion,
    ReportStatus,
    AppealQuestion,
    NewAppeal,
    AppealStatus,
    HousePage,
    House,
    NewGuest,
    TraitsUpdate,
    GuestCreated,
    GuestData,
    PublicGuestData,
    UsernameData,
    StatsData,
    OnlineUsersData,
    MatchingStatus,
    SocketStats,
    Health,
    Limits,
    FileInfo,
    IceServers,
    Failure,
)
