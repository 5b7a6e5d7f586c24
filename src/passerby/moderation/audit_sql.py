"""The audit in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from passerby.database import journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.chain import Entry
    from passerby.clock import Clock
    from passerby.database.engine import Database

_PORTION: Final = 500
"""Entries that are read at once."""


class SqlJournal:
    """See Journal."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Read and write with `database`."""
        self._database = database
        self._clock = clock

    async def entries(self, after: int = 0) -> AsyncIterator[Entry]:
        """See Journal."""
        while not self._database.is_empty:
            async with self._database.read() as session:
                table = session.tables.audit
                wanted = session.sql.select(table).where(table.c.number > after)
                rows = (await session.execute(wanted.order_by(table.c.number).limit(_PORTION))).all()
            for row in rows:
                after = row.number
                yield journal.entry_of(row)
            if len(rows) < _PORTION:
                return

    async def append(self, actor: str, action: str, object: str, details: dict[str, Any]) -> None:  # noqa: A002 - as in Journal
        """See Journal."""
        async with self._database.write() as session:
            await journal.append(
                session, at=self._clock.time(), actor=actor, action=action, object=object, details=details
            )
