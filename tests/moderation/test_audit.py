"""Whatever is changed in the table of the audit, it is found."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.chain import verify
from tests.database.conftest import opened

COLUMNS = ("number", "at", "actor", "action", "object", "details", "previous", "hash")
ENTRIES = 4


def changed(value: Any, place: int, by: int) -> Any:  # noqa: ANN401 - what a column holds
    """Return a value with one byte, letter or number changed."""
    if isinstance(value, bytes):
        place %= len(value)
        return value[:place] + bytes([value[place] ^ by]) + value[place + 1 :]
    if isinstance(value, str):
        place %= len(value)
        return value[:place] + chr(ord(value[place]) ^ by) + value[place + 1 :]
    return value + by


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(1, ENTRIES),
    column=st.sampled_from(COLUMNS),
    place=st.integers(0, 200),
    by=st.integers(1, 31),
)
def test_a_change_of_any_byte_is_found(number: int, column: str, place: int, by: int) -> None:
    async def run() -> str | None:
        async with opened("sqlite:///") as kept:
            for one in range(ENTRIES):
                await kept.journal.append(
                    "max", "case.note", f"{one:032x}", {"rule": "hate", "sanction": None, "n": one}
                )
            async with kept.database.write() as session:
                table = session.tables.audit
                rows = (await session.execute(session.sql.select(table).order_by(table.c.number))).all()
                value = changed(getattr(rows[number - 1], column), place, by)
                await session.execute(
                    table.delete().where(table.c.number == value) if column == "number" else _nothing(table)
                )
                await session.execute(table.update().where(table.c.number == number).values(**{column: value}))
            return verify([entry async for entry in kept.journal.entries()])

    assert asyncio.run(run()) is not None


def _nothing(table: Any) -> Any:  # noqa: ANN401 - of SQLAlchemy
    return table.delete().where(table.c.number < 0)


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(1, ENTRIES + 1)).filter(lambda order: list(order) != sorted(order)))
def test_entries_in_another_order_are_found(order: list[int]) -> None:
    async def run() -> str | None:
        async with opened("sqlite:///") as kept:
            for one in range(ENTRIES):
                await kept.journal.append("max", "case.note", str(one), {})
            async with kept.database.write() as session:
                table = session.tables.audit
                for number, new in enumerate(order, 1):
                    await session.execute(table.update().where(table.c.number == number).values(number=-new))
                await session.execute(table.update().values(number=-table.c.number))
            return verify([entry async for entry in kept.journal.entries()])

    assert asyncio.run(run()) is not None
