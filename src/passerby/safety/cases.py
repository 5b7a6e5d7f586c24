"""The port to reports: cases, their evidence, and what was decided. All that is kept of guests beyond their session."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol

from msgspec import Meta, Struct

from passerby.models import Rule

SEVERITY: Final[dict[Rule, int]] = {
    "sexual": 3,
    "under_age": 3,
    "threats": 3,
    "hate": 2,
    "private_data": 2,
    "spam": 1,
    "other": 1,
}
"""How urgent a case is, from 1 to 3."""
MOST_EARLIER: Final = 50
"""How many earlier cases of a guest are counted, and listed."""
Source = Literal["report", "repeats", "skips", "hook"]
"""Who has opened a case: a guest, or the server, which noticed something."""
CaseState = Literal["open", "escalated", "closed"]
Action = Literal["dismiss", "warn", "end_session", "ban", "escalate", "hold", "release", "note"]
"""What a moderator can do with a case. `hold` keeps the evidence until `release`; `note` decides nothing."""
MarkKind = Literal["session", "device", "address", "network"]


class Mark(Struct, frozen=True, array_like=True):
    """One of the ways to know a guest again, as a keyed or one-way hash: see `marks`."""

    kind: MarkKind
    value: bytes
    """32 bytes."""
    key: int = 0
    """Of `address` and `network`: the number of the key. They mean nothing once it is forgotten."""


class Subject(Struct, frozen=True, kw_only=True):
    """A guest whom a case is about."""

    guest_id: str
    username: str
    language: str = ""
    """Of the guest's own texts, as a BCP 47 tag; empty: unknown."""
    marks: tuple[Mark, ...] = ()


class Piece(Struct, frozen=True, kw_only=True):
    """A part of the evidence: the log of the room (JSON, see `reports.Evidence`), or a file that was sent in it."""

    kind: Literal["log", "file"]
    name: str = ""
    mime_type: str = "application/json"
    content: bytes
    """As given and returned by the port; encrypted (AES-256-GCM) where it is kept."""


SanctionKind = Literal["warning", "session_ended", "banned"]
"""A warning is told once. An ended session does not come back; a ban keeps out whoever has one of the marks."""


class Sanction(Struct, frozen=True, kw_only=True):
    """What a moderator has decided about a guest: whom it is for, why, and until when."""

    id: int
    """0: it gets one when it is kept."""
    version: int = 0
    """Greater than that of all changes before."""
    kind: SanctionKind
    case_id: str | None
    marks: tuple[Mark, ...]
    rule: Rule
    words: str
    """The reason, in the guest's language."""
    begins_at: float
    """Seconds since the Unix epoch."""
    ends_at: float | None
    """None: it does not end by itself."""
    moderator: str
    appeal_code: str
    """128 random bits. Shown to the banned guest alone; empty if it is no ban."""
    lifted_at: float | None = None


class NewCase(Struct, frozen=True, kw_only=True):
    """A report, or what the server has noticed."""

    id: str
    """Random, 128 bits."""
    source: Source
    rule: Rule
    opened_at: float
    """Seconds since the Unix epoch."""
    subject: Subject
    reporter: tuple[Mark, ...] = ()
    """Whose report it is: `session` and `device`. Nobody reports the same conversation twice."""
    words: str = ""
    receipt: bytes = b""
    """SHA-256 of the receipt; empty: there is none."""
    room: str = ""
    """Which conversation, as a one-way hash: with `reporter`, it finds a second report of it."""
    evidence: tuple[Piece, ...] = ()


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided of a case."""

    case_id: str
    at: float
    moderator: str
    """Name."""
    action: Action
    rule: Rule
    words: str = ""
    sanction_id: int | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What a reporter is told who has the receipt."""

    state: Literal["waiting", "decided", "dismissed"]
    rule: Rule
    action: Literal["none", "warning", "end_session", "ban"] = "none"
    reported_at: float
    decided_at: float | None = None


class CaseOverview(Struct, frozen=True, kw_only=True):
    """A case as in a list."""

    id: str
    source: Source
    rule: Rule
    severity: Annotated[int, Meta(ge=1, le=3)]
    state: CaseState
    opened_at: float
    due_at: float
    """When it should be decided by: see `CASE_HOURS`."""
    username: str
    has_evidence: bool
    on_hold: bool
    earlier: Annotated[int, Meta(ge=0)]
    """Other cases about the same session or device; `MOST_EARLIER` if there are more."""


class Case(Struct, frozen=True, kw_only=True):
    """A case with all that belongs to it, without the contents of files."""

    overview: CaseOverview
    subject: Subject
    words: str
    log: bytes | None
    """The room's log; None: there is none, or not any more."""
    files: list[tuple[int, str, str, int]]
    """Number, name, MIME type and size of each file."""
    evidence_until: float | None
    hold_reason: str
    decisions: list[Decision]
    earlier: list[CaseOverview]
    reporter: tuple[Mark, ...]


class CasePage(Struct, frozen=True, kw_only=True):
    """A part of a list."""

    cases: list[CaseOverview]
    next: str | None
    """Where the next part begins; None: this is the last one."""
    total: int


class CaseStore(Protocol):
    """Where cases are kept.

    All methods raise OSError when the database cannot be used now. Times are in seconds since the Unix epoch.
    """

    async def add(self, case: NewCase) -> bool:
        """Keep a case with its evidence, in one step; return False if its reporter has reported this room before.

        Without a key, the evidence is not kept.
        """

    async def outcome(self, receipt: bytes) -> Outcome | None:
        """Return what has become of a report, by SHA-256 of its receipt; None: there is no such report."""

    async def page(self, state: CaseState, *, after: str | None = None, limit: int = 50) -> CasePage:
        """Return cases: the most severe first, then the oldest first; closed ones the newest first.

        Raises ValueError if `after` is not a `next` of an earlier page.
        """

    async def load(self, case_id: str) -> Case | None:
        """Return a case; None: there is no such case."""

    async def file(self, case_id: str, number: int) -> Piece | None:
        """Return a file of the evidence."""

    async def decide(self, decision: Decision, sanction: Sanction | None = None) -> bool:
        """Keep a decision and its sanction, change the case, note it in the audit, in one step; False: no such case.

        Raises ConflictError (already_decided) for a decision that closes a case which is closed.
        `dismiss`, `warn`, `end_session` and `ban` close the case. `hold` keeps its evidence, with `words` as the
        reason, until `release`.
        """

    async def forget(self, *, evidence_before: float, records_before: float) -> tuple[int, int]:
        """Remove evidence and words of cases opened before, unless on hold, and records before; return how many.

        A record is a case that is closed, with its decisions, and sanctions that have ended.
        """
