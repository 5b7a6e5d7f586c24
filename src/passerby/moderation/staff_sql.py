"""Moderators and their sessions in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from passerby.database import journal
from passerby.database.engine import RefusedError
from passerby.moderation.staff import Moderator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.clock import Clock
    from passerby.database.engine import Database
    from passerby.database.sealing import Sealer


_NOTED: Final = 10.0
"""Seconds after which it is noted again that a session is used: to look at things does not wait for who writes."""


class SqlStaffStore:
    """See StaffStore."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        """Read and write with `database`; `sealer` seals the secrets of authenticator apps."""
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def is_any(self) -> bool:
        """See StaffStore."""
        if self._database.is_empty:
            return False
        async with self._database.read() as session:
            table = session.tables.moderators
            wanted = session.sql.select(table.c.id).where(table.c.disabled_at.is_(None)).limit(1)
            return await session.scalar(wanted) is not None

    async def add(self, moderator: Moderator, actor: str) -> Moderator:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.moderators
            await session.serialise_audit()
            taken = session.sql.select(table.c.id).where(table.c.name == moderator.name)
            if await session.scalar(taken) is not None:
                raise ValueError(f"there is a moderator {moderator.name!r}")
            result = await session.execute(table.insert().values(**self._values(moderator)))
            (number,) = result.inserted_primary_key
            await journal.append(
                session,
                at=self._clock.time(),
                actor=actor,
                action="moderator.add",
                object=moderator.name,
                details={"role": moderator.role},
            )
        return replace(moderator, id=number)

    async def by_name(self, name: str) -> Moderator | None:
        """See StaffStore."""
        return await self._one("name", name)

    async def by_setup(self, digest: bytes) -> Moderator | None:
        """See StaffStore."""
        return await self._one("setup_hash", digest)

    async def _one(self, column: str, value: object) -> Moderator | None:
        if self._database.is_empty:
            return None
        try:
            async with self._database.read() as session:
                table = session.tables.moderators
                row = (await session.execute(session.sql.select(table).where(table.c[column] == value))).first()
        except RefusedError:  # PostgreSQL knows no NUL in a text: nobody is called so
            return None
        return None if row is None else self._moderator(row)

    async def all(self) -> list[Moderator]:
        """See StaffStore."""
        if self._database.is_empty:
            return []
        async with self._database.read() as session:
            table = session.tables.moderators
            rows = (await session.execute(session.sql.select(table).order_by(table.c.name))).all()
        return [self._moderator(row) for row in rows]

    async def change(self, moderator: Moderator, actor: str, what: str) -> None:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.moderators
            values = self._values(moderator)
            if not (moderator.password_hash or moderator.totp_secret or moderator.setup_hash):
                del values["password_hash"], values["totp_secret"]  # they could not be read; the key may come back
            await session.execute(table.update().where(table.c.id == moderator.id).values(**values))
            if what:
                await journal.append(
                    session, at=self._clock.time(), actor=actor, action=what, object=moderator.name, details={}
                )

    async def finish(self, moderator: Moderator, setup_hash: bytes) -> bool:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.moderators
            done = await session.execute(
                table.update()
                .where(table.c.id == moderator.id, table.c.setup_hash == setup_hash, table.c.disabled_at.is_(None))
                .values(
                    password_hash=moderator.password_hash,
                    totp_step=moderator.totp_step,
                    setup_hash=None,
                    setup_until=0,
                )
            )
            if not done.rowcount:
                return False
            await journal.append(
                session,
                at=self._clock.time(),
                actor=moderator.name,
                action="moderator.setup",
                object=moderator.name,
                details={},
            )
        return True

    async def use_step(self, moderator_id: int, step: int) -> bool:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.moderators
            used = await session.execute(
                table.update().where(table.c.id == moderator_id, table.c.totp_step < step).values(totp_step=step)
            )
            return bool(used.rowcount)

    async def begin(self, digest: bytes, moderator_id: int, at: float, until: float) -> None:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.console_sessions
            await session.execute(table.delete().where(table.c.ends_at <= at))
            await session.execute(
                table.insert(), {"digest": digest, "moderator_id": moderator_id, "seen_at": at, "ends_at": until}
            )

    async def session(self, digest: bytes, at: float, idle: float) -> Moderator | None:
        """See StaffStore."""
        if self._database.is_empty:
            return None
        async with self._database.read() as session:
            table, moderators = session.tables.console_sessions, session.tables.moderators
            wanted = (
                session.sql.select(moderators, table.c.seen_at)
                .join(table, table.c.moderator_id == moderators.c.id)
                .where(table.c.digest == digest, table.c.ends_at > at, table.c.seen_at > at - idle)
                .where(moderators.c.disabled_at.is_(None))
            )
            row = (await session.execute(wanted)).first()
        if row is not None and at - row.seen_at >= _NOTED:
            async with self._database.write() as session:
                table = session.tables.console_sessions
                await session.execute(table.update().where(table.c.digest == digest).values(seen_at=at))
        return None if row is None else self._moderator(row)

    async def look(self, digest: bytes, case_id: str, at: float) -> None:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.console_sessions
            await session.execute(table.update().where(table.c.digest == digest).values(case_id=case_id, looked_at=at))

    async def viewers(self, case_ids: Sequence[str], since: float) -> list[tuple[str, str]]:
        """See StaffStore."""
        if self._database.is_empty or not case_ids:
            return []
        async with self._database.read() as session:
            table, moderators = session.tables.console_sessions, session.tables.moderators
            wanted = (
                session.sql.select(table.c.case_id, moderators.c.name)
                .join(moderators, moderators.c.id == table.c.moderator_id)
                .where(table.c.case_id.in_(case_ids), table.c.looked_at > since)
                .distinct()
            )
            rows = (await session.execute(wanted)).all()
        return sorted((case_id, name) for case_id, name in rows)

    async def end(self, digest: bytes) -> None:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.console_sessions
            await session.execute(table.delete().where(table.c.digest == digest))

    async def end_all(self, moderator_id: int) -> None:
        """See StaffStore."""
        async with self._database.write() as session:
            table = session.tables.console_sessions
            await session.execute(table.delete().where(table.c.moderator_id == moderator_id))

    def _values(self, moderator: Moderator) -> dict[str, Any]:
        secret = moderator.totp_secret.encode()
        return {
            "name": moderator.name,
            "role": moderator.role,
            "password_hash": moderator.password_hash,
            "totp_secret": self._sealer.seal(secret, f"totp {moderator.name}") if secret else b"",
            "totp_step": moderator.totp_step,
            "setup_hash": moderator.setup_hash or None,
            "setup_until": moderator.setup_until,
            "created_at": moderator.created_at,
            "disabled_at": moderator.disabled_at,
        }

    def _moderator(self, row: Any) -> Moderator:  # noqa: ANN401 - of SQLAlchemy
        secret = self._sealer.open(row.totp_secret, f"totp {row.name}", or_plain=True) if row.totp_secret else b""
        return Moderator(
            id=row.id,
            name=row.name,
            role=row.role,
            # Without the second factor there is none: nobody logs in until there is a new set-up link, or the key.
            password_hash="" if secret is None else row.password_hash,
            totp_secret="" if secret is None else secret.decode(),
            totp_step=row.totp_step,
            setup_hash=row.setup_hash or b"",
            setup_until=row.setup_until,
            created_at=row.created_at,
            disabled_at=row.disabled_at,
        )
