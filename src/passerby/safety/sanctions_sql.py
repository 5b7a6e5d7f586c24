"""Sanctions and appeals in the database."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from passerby.database import journal
from passerby.database.sanctions import insert_sanction, next_version
from passerby.errors import Code, ForbiddenError
from passerby.safety.cases import Mark, Sanction
from passerby.safety.sanctions import Appeal, SanctionPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.clock import Clock
    from passerby.database.engine import Database, Session
    from passerby.database.sealing import Sealer
    from passerby.safety.sanctions import Verdict

_DAY: Final = 86_400.0
_DIGITS: Final = 18
"""Of a version, at most: what has more may not fit into the column."""


class SqlSanctionStore:
    """See SanctionStore."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        """Read and write with `database`; `sealer` seals the words of appeals."""
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def add(self, sanction: Sanction) -> Sanction:
        """See SanctionStore."""
        async with self._database.write() as session:
            sanction_id, version = await insert_sanction(session, sanction)
        return replace(sanction, id=sanction_id, version=version)

    async def changed(self, after: int) -> list[Sanction]:
        """See SanctionStore."""
        if self._database.is_empty:
            return []
        async with self._database.read() as session:
            sql, tables = session.sql, session.tables
            if await session.scalar(sql.select(tables.facts.c.sanction_version)) <= after:
                return []
            version = tables.sanctions.c.version
            wanted = self._recent(session).where(version > after).order_by(version)
            return await self._sanctions(session, (await session.execute(wanted)).all())

    async def page(self, *, after: str | None = None, limit: int = 50) -> SanctionPage:
        """See SanctionStore."""
        before = None if after is None else _version_of(after)
        if self._database.is_empty:
            return SanctionPage(sanctions=[], next=None)
        async with self._database.read() as session:
            version = session.tables.sanctions.c.version
            wanted = self._recent(session).order_by(version.desc()).limit(limit + 1)
            if before is not None:
                wanted = wanted.where(version < before)
            rows = (await session.execute(wanted)).all()
            sanctions = await self._sanctions(session, rows[:limit])
        return SanctionPage(sanctions=sanctions, next=str(rows[limit - 1].version) if len(rows) > limit else None)

    def _recent(self, session: Session) -> Any:  # noqa: ANN401 - of SQLAlchemy
        """Select what is in force, and what was until yesterday."""
        yesterday = self._clock.time() - _DAY
        sql, table = session.sql, session.tables.sanctions.c
        is_told = sql.and_(table.kind != "banned", table.begins_at < yesterday)
        return sql.select(session.tables.sanctions).where(
            sql.not_(is_told),
            sql.or_(table.ends_at.is_(None), table.ends_at >= yesterday),
            sql.or_(table.lifted_at.is_(None), table.lifted_at >= yesterday),
        )

    @staticmethod
    async def _sanctions(session: Session, rows: Sequence[Any]) -> list[Sanction]:
        marks: dict[int, list[Mark]] = {row.id: [] for row in rows}
        table = session.tables.sanction_marks
        ids = list(marks)
        for place in range(0, len(ids), 500):
            wanted = session.sql.select(table).where(table.c.sanction_id.in_(ids[place : place + 500]))
            for row in await session.execute(wanted.order_by(table.c.kind)):
                marks[row.sanction_id].append(Mark(row.kind, row.value, row.key))
        return [_sanction(row, tuple(marks[row.id])) for row in rows]

    async def lift(self, sanction_id: int, at: float, moderator: str, words: str) -> bool:
        """See SanctionStore."""
        if self._database.is_empty:
            return False
        async with self._database.write() as session:
            if not await self._lift(session, sanction_id, at):
                return False
            await journal.append(
                session,
                at=at,
                actor=moderator,
                action="sanction.lift",
                object=str(sanction_id),
                details={"reason": words},
            )
        return True

    async def _lift(self, session: Session, sanction_id: int, at: float) -> bool:
        table = session.tables.sanctions
        version = await next_version(session)
        result = await session.execute(
            table.update()
            .where(table.c.id == sanction_id, table.c.lifted_at.is_(None))
            .values(lifted_at=at, version=version)
        )
        return bool(result.rowcount)

    async def by_code(self, digest: bytes) -> tuple[Sanction, Appeal | None] | None:
        """See SanctionStore."""
        if self._database.is_empty:
            return None
        async with self._database.read() as session:
            sql, tables = session.sql, session.tables
            wanted = sql.select(tables.sanctions).where(tables.sanctions.c.appeal_digest == digest)
            row = (await session.execute(wanted)).first()
            if row is None:
                return None
            (sanction,) = await self._sanctions(session, [row])
            asked = sql.select(tables.appeals).where(tables.appeals.c.sanction_id == row.id)
            appeal = (await session.execute(asked)).first()
        return sanction, None if appeal is None else self._appeal(appeal)

    async def appeal(self, sanction_id: int, at: float, words: str) -> bool:
        """See SanctionStore."""
        async with self._database.write() as session:
            table = session.tables.appeals
            known = session.sql.select(table.c.id).where(table.c.sanction_id == sanction_id)
            # On PostgreSQL, two at once: the row of the sanction lets one wait for the other.
            sanctions = session.tables.sanctions
            of = session.sql.select(sanctions.c.id).where(sanctions.c.id == sanction_id).with_for_update()
            if await session.scalar(of) is None or await session.scalar(known) is not None:
                return False
            await session.execute(
                table.insert(),
                {
                    "sanction_id": sanction_id,
                    "made_at": at,
                    "words": self._sealer.seal(words.encode(), f"appeal {sanction_id}"),
                    "verdict": "waiting",
                    "answer": "",
                    "decided_by": "",
                },
            )
        return True

    async def appeals(self, *, limit: int = 50) -> list[tuple[Appeal, Sanction]]:
        """See SanctionStore."""
        if self._database.is_empty:
            return []
        async with self._database.read() as session:
            sql, tables = session.sql, session.tables
            table = tables.appeals
            wanted = sql.select(table).where(table.c.verdict == "waiting").order_by(table.c.made_at, table.c.id)
            rows = (await session.execute(wanted.limit(limit))).all()
            of = sql.select(tables.sanctions).where(tables.sanctions.c.id.in_([row.sanction_id for row in rows]))
            sanctions = await self._sanctions(session, (await session.execute(of)).all())
        known = {sanction.id: sanction for sanction in sanctions}
        return [(self._appeal(row), known[row.sanction_id]) for row in rows]

    async def answer(self, appeal_id: int, at: float, moderator: str, verdict: Verdict, words: str) -> bool:
        """See SanctionStore."""
        if self._database.is_empty:
            return False
        async with self._database.write() as session:
            sql, tables = session.sql, session.tables
            appeals, sanctions = tables.appeals, tables.sanctions
            wanted = (
                sql.select(appeals.c.sanction_id, sanctions.c.moderator)
                .join(sanctions, sanctions.c.id == appeals.c.sanction_id)
                .where(appeals.c.id == appeal_id, appeals.c.verdict == "waiting")
                .with_for_update()
            )
            row = (await session.execute(wanted)).first()
            if row is None:
                return False
            if row.moderator == moderator:
                raise ForbiddenError(Code.OWN_DECISION, "Somebody else answers an appeal against your decision")
            await session.execute(
                appeals.update()
                .where(appeals.c.id == appeal_id)
                .values(verdict=verdict, answer=words, decided_at=at, decided_by=moderator)
            )
            if verdict == "upheld":
                await self._lift(session, row.sanction_id, at)
            await journal.append(
                session,
                at=at,
                actor=moderator,
                action=f"appeal.{verdict}",
                object=str(appeal_id),
                details={"sanction": row.sanction_id},
            )
        return True

    def _appeal(self, row: Any) -> Appeal:  # noqa: ANN401 - of SQLAlchemy
        words = self._sealer.open(row.words, f"appeal {row.sanction_id}", or_plain=True)
        return Appeal(
            id=row.id,
            sanction_id=row.sanction_id,
            made_at=row.made_at,
            words="" if words is None else words.decode(),
            verdict=row.verdict,
            answer=row.answer,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
        )

    async def keys(self, at: float, lifetime: float) -> list[tuple[int, bytes]]:
        """See SanctionStore."""
        async with self._database.write() as session:
            sql, table = session.sql, session.tables.address_keys
            await session.serialise_audit()  # two processes may find at once that a key is missing
            await _forget_keys(session, at, lifetime)
            newest = await session.scalar(sql.select(sql.func.max(table.c.begun_at)))
            if newest is None or newest <= at - lifetime:
                await session.execute(table.insert(), {"random": secrets.token_bytes(32), "begun_at": at})
            rows = (await session.execute(sql.select(table).order_by(table.c.number.desc()))).all()
        return [(row.number, row.random) for row in rows]

    async def forget_keys(self, at: float, lifetime: float) -> list[int]:
        """See SanctionStore."""
        if self._database.is_empty:
            return []
        async with self._database.write() as session:
            await _forget_keys(session, at, lifetime)
            rows = (await session.execute(session.sql.select(session.tables.address_keys.c.number))).all()
        return [row.number for row in rows]


async def _forget_keys(session: Session, at: float, lifetime: float) -> None:
    table = session.tables.address_keys
    await session.execute(table.delete().where(table.c.begun_at <= at - 2 * lifetime))


def _version_of(text: str) -> int:
    """Return where a page begins. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        message = f"not a place: {text[:40]!r}"
        raise ValueError(message)
    return int(text)


def _sanction(row: Any, marks: tuple[Mark, ...]) -> Sanction:  # noqa: ANN401 - of SQLAlchemy
    return Sanction(
        id=row.id,
        version=row.version,
        kind=row.kind,
        case_id=row.case_id,
        marks=marks,
        rule=row.rule,
        words=row.words,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        moderator=row.moderator,
        appeal_code=row.appeal_code,
        lifted_at=row.lifted_at,
    )
