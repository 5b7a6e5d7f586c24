"""Appends to the audit within the transaction of what is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from passerby.chain import Entry

if TYPE_CHECKING:
    from passerby.database.engine import Session


async def append(
    session: Session,
    *,
    at: float,
    actor: str,
    action: str,
    object: str,  # noqa: A002 - as in Entry
    details: dict[str, Any],
) -> None:
    """Append an entry, chained to the last one. Nobody else appends until the transaction ends."""
    await session.serialise_audit()
    table = session.tables.audit
    row = (await session.execute(session.sql.select(table).order_by(table.c.number.desc()).limit(1))).first()
    entry = Entry.after(
        None if row is None else entry_of(row), at=at, actor=actor, action=action, object=object, details=details
    )
    await session.execute(
        table.insert(),
        {
            "number": entry.number,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "object": entry.object,
            "details": msgspec.json.encode(entry.details, order="deterministic"),
            "previous": entry.previous,
            "hash": entry.hash,
        },
    )


def entry_of(row: Any) -> Entry:  # noqa: ANN401 - of SQLAlchemy
    """Return the entry of a row. Details that are no JSON are those of a row that was changed."""
    try:
        details = msgspec.json.decode(row.details, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        details = {"damaged": True}
    return Entry(
        number=row.number,
        at=row.at,
        actor=row.actor,
        action=row.action,
        object=row.object,
        details=details,
        previous=row.previous,
        hash=row.hash,
    )
