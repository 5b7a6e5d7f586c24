"""Makes an engine, and brings the tables up to date."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import URL, event, func, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def engine(where: str | Path, *, is_memory: bool, busy: int) -> AsyncEngine:
    """Return an engine for a file of SQLite, or for a URL. `busy` is how long SQLite waits, in milliseconds."""
    if isinstance(where, str) and not is_memory:
        return create_async_engine(where, pool_size=4, max_overflow=4, pool_pre_ping=True, hide_parameters=True)
    # Of its parts: in a URL, a file's name with "?" or "%" would be another one.
    url = URL.create("sqlite+aiosqlite", database=str(where))
    kind: dict[str, Any] = {"pool_size": 4, "max_overflow": 4}
    kept = None
    if is_memory:
        # It lasts while it has a connection, and one in whose midst somebody gave up is closed.
        name = f"file:passerby-{secrets.token_hex(8)}"
        kept = sqlite3.connect(f"{name}?mode=memory&cache=shared", uri=True, check_same_thread=False)
        url = URL.create("sqlite+aiosqlite", database=name, query={"mode": "memory", "cache": "shared", "uri": "true"})
        kind = {"poolclass": StaticPool}
    made = create_async_engine(url, hide_parameters=True, **kind)
    if kept is not None:
        event.listen(made.sync_engine, "engine_disposed", lambda _: kept.close())

    @event.listens_for(made.sync_engine, "connect")
    def _(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
        connection.isolation_level = None  # transactions begin below
        cursor = connection.cursor()
        for pragma in (f"busy_timeout = {busy}", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten
        cursor.close()

    @event.listens_for(made.sync_engine, "begin")
    def _(connection: Connection) -> None:
        writes = connection.get_execution_options().get("passerby_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return made


async def migrate(made: AsyncEngine, *, lock: int | None) -> None:
    """Bring the tables up to date, in one transaction. Of several processes one does it, and the others wait.

    Raises OSError if the tables are of a newer version than this one knows.
    """
    async with made.begin() as connection:
        if lock is not None:
            await connection.scalar(select(func.pg_advisory_xact_lock(lock)))
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(config(connection), "head")
    except (CommandError, ResolutionError) as error:
        raise OSError("the database is of a newer version of Passerby") from error


def config(connection: Connection) -> Config:
    """Return what Alembic needs to know."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings
