"""Writes a sanction within the transaction of what it belongs to."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from passerby.database import journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.database.engine import Session


class _Mark(Protocol):
    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def key(self) -> int: ...


class _Sanction(Protocol):
    """See `safety.cases.Sanction`."""

    @property
    def kind(self) -> str: ...
    @property
    def case_id(self) -> str | None: ...
    @property
    def marks(self) -> Sequence[_Mark]: ...
    @property
    def rule(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def begins_at(self) -> float: ...
    @property
    def ends_at(self) -> float | None: ...
    @property
    def moderator(self) -> str: ...
    @property
    def appeal_code(self) -> str: ...


async def next_version(session: Session) -> int:
    """Count up the version of all sanctions, which nobody else does until the transaction ends."""
    facts = session.tables.facts
    await session.execute(facts.update().values(sanction_version=facts.c.sanction_version + 1))
    version: int = await session.scalar(session.sql.select(facts.c.sanction_version))
    return version


async def insert_sanction(session: Session, sanction: _Sanction) -> tuple[int, int]:
    """Keep a sanction with its marks, and note it in the audit; return its id and its version."""
    version = await next_version(session)
    result = await session.execute(
        session.tables.sanctions.insert().values(
            version=version,
            kind=sanction.kind,
            case_id=sanction.case_id,
            rule=sanction.rule,
            words=sanction.words,
            begins_at=sanction.begins_at,
            ends_at=sanction.ends_at,
            moderator=sanction.moderator,
            appeal_code=sanction.appeal_code,
            appeal_digest=hashlib.sha256(sanction.appeal_code.encode()).digest() if sanction.appeal_code else None,
        )
    )
    (sanction_id,) = result.inserted_primary_key
    marks = [
        {"sanction_id": sanction_id, "kind": mark.kind, "value": mark.value, "key": mark.key} for mark in sanction.marks
    ]
    if marks:
        await session.execute(session.tables.sanction_marks.insert(), marks)
    await journal.append(
        session,
        at=sanction.begins_at,
        actor=sanction.moderator,
        action=f"sanction.{sanction.kind}",
        object=str(sanction_id),
        details={
            "case": sanction.case_id,
            "rule": sanction.rule,
            "until": sanction.ends_at,
            "by": sorted(mark.kind for mark in sanction.marks),
        },
    )
    return sanction_id, version
