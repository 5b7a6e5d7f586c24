"""Cases in the database."""

from __future__ import annotations

import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.database import journal
from passerby.database.engine import RefusedError
from passerby.database.sanctions import insert_sanction
from passerby.errors import Code, ConflictError
from passerby.safety.cases import (
    MOST_EARLIER,
    SEVERITY,
    Case,
    CaseOverview,
    CasePage,
    Decision,
    Mark,
    NewCase,
    Outcome,
    Piece,
    Subject,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.database.engine import Database, Session
    from passerby.database.sealing import Sealer
    from passerby.safety.cases import Action, CaseState, Sanction

log = logging.getLogger(__name__)

_CLOSING: Final = ("dismiss", "warn", "end_session", "ban")
_TOLD: Final[dict[str, Any]] = {"dismiss": "none", "warn": "warning", "end_session": "end_session", "ban": "ban"}
_KNOWN_BY: Final = ("session", "device")
"""Marks by which earlier cases are found."""
_AT_ONCE: Final = 20
"""Cases of which evidence is removed in one transaction: it must be done in time, and others write too."""
_DAY: Final = 86_400.0
_read_marks: Final = msgspec.msgpack.Decoder(tuple[Mark, ...]).decode


class _About(msgspec.Struct, array_like=True):
    """What is sealed of a file beside its content."""

    name: str
    mime_type: str


class _Place(msgspec.Struct, array_like=True):
    """Where a page of a list ends."""

    severity: int
    at: float
    id: str


class SqlCaseStore:
    """See CaseStore."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        *,
        hours: Sequence[float] = (1, 24, 72),
        evidence_days: float = 30,
    ) -> None:
        """`hours` are the targets for cases of severity 3, 2 and 1."""
        self._database = database
        self._sealer = sealer
        self._targets = {3 - place: one * 3600 for place, one in enumerate(hours)}
        self._evidence_seconds = evidence_days * _DAY
        self._has_warned = False

    # ── reports ───────────────────────────────────────────────────────────────────────────────────

    async def add(self, case: NewCase) -> bool:
        """See CaseStore."""
        keeps = self._sealer.is_on
        if case.evidence and not keeps and not self._has_warned:
            self._has_warned = True
            log.warning("reports hold no messages: neither EVIDENCE_KEY nor EVIDENCE_KEY_FILE is set")
        report = None
        if case.room and case.reporter:
            report = hashlib.sha256(b"".join((case.room.encode(), b"\0", case.reporter[0].value))).digest()
        try:
            return await self._add(case, report, keeps=keeps)
        except RefusedError:  # on PostgreSQL, the same report was kept meanwhile: now it is found
            return await self._add(case, report, keeps=keeps)

    async def _add(self, case: NewCase, report: bytes | None, *, keeps: bool) -> bool:
        async with self._database.write() as session:
            tables, sql = session.tables, session.sql
            same = tables.cases.c.id == case.id
            if report is not None:
                same = sql.or_(same, tables.cases.c.report == report)
            known = await session.scalar(sql.select(tables.cases.c.id).where(same))
            if known is not None:
                return bool(known == case.id)  # the same case again: it was not known whether it was kept
            await session.execute(
                tables.cases.insert(),
                {
                    "id": case.id,
                    "source": case.source,
                    "rule": case.rule,
                    "severity": SEVERITY[case.rule],
                    "state": "open",
                    "opened_at": case.opened_at,
                    "guest_id": case.subject.guest_id,
                    "username": case.subject.username,
                    "language": case.subject.language,
                    "words": self._sealer.seal(case.words.encode(), f"words {case.id}") if case.words else b"",
                    "receipt": case.receipt or None,
                    "report": report,
                    "reporter": msgspec.msgpack.encode(case.reporter),
                    "hold_reason": "",
                },
            )
            marks = [
                {"case_id": case.id, "kind": mark.kind, "value": mark.value, "key": mark.key}
                for mark in case.subject.marks
            ]
            if marks:
                await session.execute(tables.case_marks.insert(), marks)
            if case.evidence and keeps:
                pieces = [self._sealed(case.id, number, piece) for number, piece in enumerate(case.evidence)]
                await session.execute(tables.evidence.insert(), pieces)
        return True

    def _sealed(self, case_id: str, number: int, piece: Piece) -> dict[str, Any]:
        about = msgspec.msgpack.encode(_About(piece.name, piece.mime_type))
        return {
            "case_id": case_id,
            "number": number,
            "kind": piece.kind,
            "size": len(piece.content),
            "about": self._sealer.seal(about, f"about {case_id} {number}"),
            "content": self._sealer.seal(piece.content, f"content {case_id} {number}"),
        }

    async def outcome(self, receipt: bytes) -> Outcome | None:
        """See CaseStore."""
        if self._database.is_empty:
            return None
        async with self._database.read() as session:
            sql, tables = session.sql, session.tables
            case = (await session.execute(sql.select(tables.cases).where(tables.cases.c.receipt == receipt))).first()
            if case is None:
                return None
            if case.state != "closed":
                return Outcome(state="waiting", rule=case.rule, reported_at=case.opened_at)
            wanted = sql.select(tables.decisions).where(
                tables.decisions.c.case_id == case.id, tables.decisions.c.action.in_(_CLOSING)
            )
            last = (await session.execute(wanted.order_by(tables.decisions.c.id.desc()).limit(1))).first()
        action = "dismiss" if last is None else last.action
        return Outcome(
            state="dismissed" if action == "dismiss" else "decided",
            rule=case.rule if last is None else last.rule,
            action=_TOLD[action],
            reported_at=case.opened_at,
            decided_at=case.closed_at,
        )

    # ── the queue ─────────────────────────────────────────────────────────────────────────────────

    async def page(self, state: CaseState, *, after: str | None = None, limit: int = 50) -> CasePage:
        """See CaseStore."""
        place = None if after is None else _place_of(after)
        if self._database.is_empty:
            return CasePage(cases=[], next=None, total=0)
        async with self._database.read() as session:
            sql, table = session.sql, session.tables.cases
            columns = table.c
            total = await session.scalar(sql.select(sql.func.count()).where(columns.state == state))
            wanted = sql.select(table).where(columns.state == state)
            if state == "closed":
                if place is not None:
                    wanted = wanted.where(sql.tuple_(columns.opened_at, columns.id) < (place.at, place.id))
                wanted = wanted.order_by(columns.opened_at.desc(), columns.id.desc())
            else:
                if place is not None:
                    later = sql.tuple_(columns.opened_at, columns.id) > (place.at, place.id)
                    below = columns.severity < place.severity
                    wanted = wanted.where(sql.or_(below, sql.and_(columns.severity == place.severity, later)))
                wanted = wanted.order_by(columns.severity.desc(), columns.opened_at, columns.id)
            rows = (await session.execute(wanted.limit(limit + 1))).all()
            overviews = await self._overviews(session, rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return CasePage(
            cases=overviews,
            next=None if last is None else _text_of(_Place(last.severity, last.opened_at, last.id)),
            total=total,
        )

    async def _overviews(self, session: Session, rows: Sequence[Any]) -> list[CaseOverview]:
        sql, tables = session.sql, session.tables
        ids = [row.id for row in rows]
        wanted = sql.select(tables.evidence.c.case_id).where(tables.evidence.c.case_id.in_(ids)).distinct()
        with_evidence = set((await session.execute(wanted)).scalars())
        own, other = tables.case_marks.alias("own"), tables.case_marks.alias("other")
        # With a limit for each case: a device may have thousands. A case is found by each of its marks.
        found = (
            sql.select(other.c.case_id)
            .join(own, sql.and_(own.c.value == other.c.value, own.c.kind == other.c.kind))
            .where(own.c.case_id == tables.cases.c.id, own.c.kind.in_(_KNOWN_BY), other.c.case_id != own.c.case_id)
            .limit(MOST_EARLIER * len(_KNOWN_BY))
            .correlate(tables.cases)
            .subquery()
        )
        others = sql.select(sql.func.count(sql.distinct(found.c.case_id))).scalar_subquery()
        counted = sql.select(tables.cases.c.id, others).where(tables.cases.c.id.in_(ids))
        earlier = dict((await session.execute(counted)).all())
        return [
            CaseOverview(
                id=row.id,
                source=row.source,
                rule=row.rule,
                severity=row.severity,
                state=row.state,
                opened_at=row.opened_at,
                due_at=row.opened_at + self._targets[row.severity],
                username=row.username,
                has_evidence=row.id in with_evidence,
                on_hold=bool(row.hold_reason),
                earlier=min(earlier[row.id], MOST_EARLIER),
            )
            for row in rows
        ]

    async def load(self, case_id: str) -> Case | None:
        """See CaseStore."""
        if self._has_none(case_id):
            return None
        async with self._database.read() as session:
            sql, tables = session.sql, session.tables
            row = (await session.execute(sql.select(tables.cases).where(tables.cases.c.id == case_id))).first()
            if row is None:
                return None
            (overview,) = await self._overviews(session, [row])
            pieces = tables.evidence.c
            wanted = sql.select(pieces.number, pieces.kind, pieces.size, pieces.about).where(pieces.case_id == case_id)
            files = (await session.execute(wanted.order_by(pieces.number))).all()
            marks = await self._marks(session, case_id)
            decisions = await self._decisions(session, case_id)
            earlier = await self._earlier(session, case_id)
            logged = next((piece.number for piece in files if piece.kind == "log"), None)
            content = None if logged is None else await self._content(session, case_id, logged)
        words = self._sealer.open(row.words, f"words {case_id}", or_plain=True) if row.words else b""
        return Case(
            overview=overview,
            subject=Subject(guest_id=row.guest_id, username=row.username, language=row.language, marks=marks),
            words="" if words is None else words.decode(),
            log=content,
            files=[self._described(case_id, piece) for piece in files if piece.kind == "file"],
            evidence_until=row.opened_at + self._evidence_seconds if files and not row.hold_reason else None,
            hold_reason=row.hold_reason,
            decisions=decisions,
            earlier=earlier,
            reporter=_read_marks(row.reporter),
        )

    def _has_none(self, case_id: str) -> bool:
        """Return whether there can be no such case; PostgreSQL refuses a text with NUL."""
        return self._database.is_empty or "\0" in case_id

    def _described(self, case_id: str, piece: Any) -> tuple[int, str, str, int]:  # noqa: ANN401 - a row
        about = self._about(case_id, piece)
        return (piece.number, about.name, about.mime_type, piece.size)

    def _about(self, case_id: str, piece: Any) -> _About:  # noqa: ANN401 - a row
        about = self._sealer.open(piece.about, f"about {case_id} {piece.number}")
        if about is None:
            return _About("", "application/octet-stream")
        return msgspec.msgpack.decode(about, type=_About)

    async def _content(self, session: Session, case_id: str, number: int) -> bytes | None:
        pieces = session.tables.evidence.c
        wanted = session.sql.select(pieces.content).where(pieces.case_id == case_id, pieces.number == number)
        sealed = await session.scalar(wanted)
        return None if sealed is None else self._sealer.open(sealed, f"content {case_id} {number}")

    @staticmethod
    async def _marks(session: Session, case_id: str) -> tuple[Mark, ...]:
        table = session.tables.case_marks
        rows = await session.execute(session.sql.select(table).where(table.c.case_id == case_id))
        return tuple(Mark(row.kind, row.value, row.key) for row in rows)

    @staticmethod
    async def _decisions(session: Session, case_id: str) -> list[Decision]:
        table = session.tables.decisions
        wanted = session.sql.select(table).where(table.c.case_id == case_id).order_by(table.c.id)
        return [
            Decision(
                case_id=case_id,
                at=row.at,
                moderator=row.moderator,
                action=row.action,
                rule=row.rule,
                words=row.words,
                sanction_id=row.sanction_id,
            )
            for row in await session.execute(wanted)
        ]

    async def _earlier(self, session: Session, case_id: str) -> list[CaseOverview]:
        sql, tables = session.sql, session.tables
        own, other = tables.case_marks.alias("own"), tables.case_marks.alias("other")
        ids = (
            sql.select(other.c.case_id)
            .join(own, sql.and_(own.c.value == other.c.value, own.c.kind == other.c.kind))
            .where(own.c.case_id == case_id, own.c.kind.in_(_KNOWN_BY), other.c.case_id != case_id)
        )
        wanted = sql.select(tables.cases).where(tables.cases.c.id.in_(ids))
        wanted = wanted.order_by(tables.cases.c.opened_at.desc()).limit(MOST_EARLIER)
        return await self._overviews(session, (await session.execute(wanted)).all())

    async def file(self, case_id: str, number: int) -> Piece | None:
        """See CaseStore."""
        if self._has_none(case_id):
            return None
        async with self._database.read() as session:
            table = session.tables.evidence
            wanted = session.sql.select(table.c.number, table.c.kind, table.c.about).where(
                table.c.case_id == case_id, table.c.number == number
            )
            piece = (await session.execute(wanted)).first()
            content = None if piece is None else await self._content(session, case_id, number)
        if piece is None or content is None:
            return None
        about = self._about(case_id, piece)
        return Piece(kind=piece.kind, name=about.name, mime_type=about.mime_type, content=content)

    # ── decisions ─────────────────────────────────────────────────────────────────────────────────

    async def decide(self, decision: Decision, sanction: Sanction | None = None) -> bool:
        """See CaseStore."""
        if self._database.is_empty:
            return False
        async with self._database.write() as session:
            cases = session.tables.cases
            row = (
                await session.execute(
                    session.sql.select(cases.c.state).where(cases.c.id == decision.case_id).with_for_update()
                )
            ).first()
            if row is None:
                return False
            if row.state == "closed" and decision.action in (*_CLOSING, "escalate"):
                raise ConflictError(Code.ALREADY_DECIDED, "The case is decided already")
            sanction_id = decision.sanction_id
            if sanction is not None:
                sanction_id, _ = await insert_sanction(session, sanction)
            await session.execute(
                session.tables.decisions.insert(),
                {
                    "case_id": decision.case_id,
                    "at": decision.at,
                    "moderator": decision.moderator,
                    "action": decision.action,
                    "rule": decision.rule,
                    "words": decision.words,
                    "sanction_id": sanction_id,
                },
            )
            if changes := _changes(decision.action, decision):
                await session.execute(cases.update().where(cases.c.id == decision.case_id).values(**changes))
            await journal.append(
                session,
                at=decision.at,
                actor=decision.moderator,
                action=f"case.{decision.action}",
                object=decision.case_id,
                details={"rule": decision.rule, "sanction": sanction_id},
            )
        return True

    # ── retention ─────────────────────────────────────────────────────────────────────────────────

    async def forget(self, *, evidence_before: float, records_before: float) -> tuple[int, int]:
        """See CaseStore."""
        if self._database.is_empty:
            return 0, 0
        pieces = records = 0
        while (removed := await self._forget_evidence(evidence_before)) is not None:
            pieces += removed
        while removed := await self._forget_records(records_before):
            records += removed
        async with self._database.write() as session:
            sanctions = session.tables.sanctions
            ended = session.sql.or_(
                sanctions.c.ends_at < records_before,
                sanctions.c.lifted_at < records_before,
                session.sql.and_(sanctions.c.kind != "banned", sanctions.c.begins_at < records_before),
            )
            await session.execute(sanctions.delete().where(ended))
        return pieces, records

    async def _forget_evidence(self, before: float) -> int | None:
        """Remove evidence and words of some cases; return how many pieces. None: there are no such cases left."""
        async with self._database.write() as session:
            sql, cases, evidence = session.sql, session.tables.cases, session.tables.evidence
            has_any = sql.exists().where(evidence.c.case_id == cases.c.id)
            wanted = sql.select(cases.c.id).where(
                cases.c.opened_at < before, cases.c.hold_reason == "", sql.or_(cases.c.words != b"", has_any)
            )
            ids = (await session.execute(wanted.limit(_AT_ONCE).with_for_update())).scalars().all()
            if not ids:
                return None
            pieces = await session.execute(evidence.delete().where(evidence.c.case_id.in_(ids)))
            await session.execute(cases.update().where(cases.c.id.in_(ids)).values(words=b""))
            return int(pieces.rowcount)

    async def _forget_records(self, before: float) -> int:
        """Remove some cases that were closed; return how many."""
        async with self._database.write() as session:
            cases = session.tables.cases
            wanted = session.sql.select(cases.c.id).where(
                cases.c.state == "closed", cases.c.closed_at < before, cases.c.hold_reason == ""
            )
            ids = (await session.execute(wanted.limit(_AT_ONCE).with_for_update())).scalars().all()
            if ids:
                await session.execute(cases.delete().where(cases.c.id.in_(ids)))
            return len(ids)


def _changes(action: Action, decision: Decision) -> dict[str, Any]:
    """Return what a decision changes of its case."""
    if action in _CLOSING:
        return {"state": "closed", "closed_at": decision.at}
    if action == "escalate":
        return {"state": "escalated"}
    if action == "hold":
        return {"hold_reason": decision.words or "hold"}
    return {"hold_reason": ""} if action == "release" else {}


def _text_of(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode()


def _place_of(text: str) -> _Place:
    """Return the place of a text. Raises ValueError."""
    try:
        return msgspec.msgpack.decode(base64.b64decode(text, altchars=b"-_", validate=True), type=_Place)
    except msgspec.MsgspecError as error:
        raise ValueError("is not the end of a page") from error
