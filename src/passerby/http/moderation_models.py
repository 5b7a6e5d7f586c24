"""Bodies of the console's routes, `/api/moderate`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from passerby.models import Rule, Timestamp, Words
from passerby.moderation.figures import Figures
from passerby.moderation.staff import Role
from passerby.safety.cases import Action, CaseState, SanctionKind, Source
from passerby.safety.sanctions import Verdict

LONGEST_BAN: Final = 3_155_760_000
"""Seconds of a ban that ends by itself, at most: a hundred years. The end has to be a date that can be written."""


class LogIn(Struct, rename="camel", frozen=True):
    """Body of POST /api/moderate/session."""

    name: Annotated[str, Meta(max_length=64)]
    password: Annotated[str, Meta(max_length=256)]
    code: Annotated[str, Meta(max_length=8, description="Of the authenticator app")]


class Console(Struct, rename="camel", frozen=True):
    """Who is logged in. The session is a cookie."""

    name: str
    role: Role
    csrf: Annotated[str, Meta(description="For the header `X-CSRF-Token` of every request but GET")]
    targets: Annotated[list[float], Meta(description="Seconds in which cases of severity 3, 2 and 1 are decided")]
    can_ban_addresses: bool
    rules: list[Rule]


class SetUp(Struct, rename="camel", frozen=True):
    """What a one-time set-up link shows."""

    name: str
    secret: Annotated[str, Meta(description="For an authenticator app, Base32")]
    uri: Annotated[str, Meta(description="otpauth://…")]
    picture: Annotated[str, Meta(description="The URI as a QR code, SVG as a data: URL")]


class FinishSetUp(Struct, rename="camel", frozen=True):
    """Body of POST /api/moderate/setup/{token}."""

    password: Annotated[str, Meta(min_length=12, max_length=256)]
    code: Annotated[str, Meta(max_length=8)]


class CaseLine(Struct, rename="camel", frozen=True, kw_only=True):
    """A case in a list."""

    id: str
    source: Source
    rule: Rule
    severity: Annotated[int, Meta(ge=1, le=3)]
    state: CaseState
    opened_at: Timestamp
    due_at: Timestamp
    username: str
    has_evidence: bool
    on_hold: bool
    earlier: int
    viewers: Annotated[list[str], Meta(description="Names of other moderators who look at it now")]


class CaseList(Struct, rename="camel", frozen=True, kw_only=True):
    """A part of the queue."""

    cases: list[CaseLine]
    next: str | None
    total: int


class EvidenceLine(Struct, rename="camel", frozen=True, kw_only=True):
    """A message of the reported conversation, as the server has relayed it."""

    id: str
    at: Timestamp
    by: Literal["reported", "reporter"]
    username: str
    type: Literal["text", "file", "voice"]
    text: str
    """Of a text message, else the name of the file."""
    marked: Annotated[bool, Meta(description="Whether the reporter has marked it")]
    file: Annotated[int, Meta(description="Number of the file, if it is kept")] | UnsetType = UNSET


class EvidenceFile(Struct, rename="camel", frozen=True, kw_only=True):
    """A file of the evidence: GET /api/moderate/cases/{id}/files/{number}."""

    number: int
    name: str
    mime_type: str
    size: int


class DecisionLine(Struct, rename="camel", frozen=True, kw_only=True):
    """What was decided."""

    at: Timestamp
    moderator: str
    action: Action
    rule: Rule
    words: str
    sanction_id: int | UnsetType = UNSET


class CaseView(Struct, rename="camel", frozen=True, kw_only=True):
    """A case."""

    case: CaseLine
    language: Annotated[str, Meta(description="Of the reported guest; empty: unknown")]
    words: Annotated[str, Meta(description="Of the reporter")]
    evidence: list[EvidenceLine]
    files: list[EvidenceFile]
    evidence_until: Timestamp | None
    hold_reason: str
    decisions: list[DecisionLine]
    earlier: list[CaseLine]
    marks: Annotated[list[str], Meta(description="What a ban can be by: session, device, address, network")]


class Decide(Struct, rename="camel", frozen=True, kw_only=True):
    """Body of POST /api/moderate/cases/{id}/decisions."""

    action: Action
    rule: Rule
    words: Words = ""
    by: list[Literal["session", "device", "address", "network"]] = []
    """Of a ban; empty: session and device."""
    seconds: Annotated[float, Meta(gt=0, le=LONGEST_BAN)] | None = None
    """Of a ban; None: it does not end by itself."""


class SanctionLine(Struct, rename="camel", frozen=True, kw_only=True):
    """A sanction."""

    id: int
    kind: SanctionKind
    case_id: str | None
    rule: Rule
    words: str
    begins_at: Timestamp
    ends_at: Timestamp | None
    lifted_at: Timestamp | None
    moderator: str
    marks: list[str]


class SanctionList(Struct, rename="camel", frozen=True, kw_only=True):
    """A part of the sanctions."""

    sanctions: list[SanctionLine]
    next: str | None


class AppealLine(Struct, rename="camel", frozen=True, kw_only=True):
    """An appeal that waits, and what it is against."""

    id: int
    made_at: Timestamp
    words: str
    ban: SanctionLine
    is_own: Annotated[bool, Meta(description="The moderator has decided the ban, so another one answers")]


class AnswerAppeal(Struct, rename="camel", frozen=True):
    """Body of POST /api/moderate/appeals/{id}."""

    verdict: Verdict
    words: Words = ""


class LiftBan(Struct, rename="camel", frozen=True):
    """Body of POST /api/moderate/bans/{id}/lift."""

    words: Words


class ModeratorLine(Struct, rename="camel", frozen=True, kw_only=True):
    """A moderator, as admins see them."""

    name: str
    role: Role
    is_set_up: bool
    disabled: bool
    created_at: Timestamp


class AuditLine(Struct, rename="camel", frozen=True, kw_only=True):
    """An entry of the audit."""

    number: int
    at: Timestamp
    actor: str
    action: str
    object: str
    details: dict[str, Any]


class Template(Struct, rename="camel", frozen=True, kw_only=True):
    """A text to tell a guest, by rule and action, in the guest's language."""

    language: str
    rule: Rule
    action: Action
    words: str


CONSOLE_MODELS: tuple[type, ...] = (
    LogIn,
    Console,
    SetUp,
    FinishSetUp,
    CaseList,
    CaseView,
    Decide,
    SanctionList,
    AppealLine,
    AnswerAppeal,
    LiftBan,
    ModeratorLine,
    AuditLine,
    Template,
    Figures,
)
