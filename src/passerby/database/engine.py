"""The connection to the database. It opens on first use, and what it needs is imported then."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from passerby.clock import time_limit
from passerby.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from passerby.clock import Clock

log = logging.getLogger(__name__)

_VERSIONS: Final = Path(__file__).with_name("migrations") / "versions"
OFF: Final = "none"
"""The value of `DATABASE_URL` for no database."""
MEMORY: Final = "sqlite:///"
"""That of a database in memory, for tests."""
_ANSWER: Final = 5.0
"""Seconds for a transaction, also while it waits for another one of this process."""
_OPENING: Final = 30.0
"""Seconds to open it the first time, with imports and migrations, on a busy machine."""
_BUSY: Final = 3000
"""Milliseconds that SQLite waits for another process's lock."""
_MIGRATION_LOCK: Final = 7_240_195_001
_AUDIT_LOCK: Final = 7_240_195_002
"""Advisory locks of PostgreSQL."""
_REFUSALS: Final = ("22", "23")
"""Classes of PostgreSQL's errors: a value that is none, a row that contradicts others."""


class DatabaseError(OSError):
    """The database cannot be used now."""


class RefusedError(ValueError):
    """The database never takes what was asked: it contradicts what is kept, or is no value that a column can have."""


class Session(NamedTuple):
    """A transaction. What it did is kept when the block ends without an exception."""

    connection: AsyncConnection
    sql: ModuleType
    """The package `sqlalchemy`."""
    tables: ModuleType
    """The module `database.schema`."""
    is_sqlite: bool

    async def execute(self, statement: Any, values: Any = None) -> Any:  # noqa: ANN401 - of SQLAlchemy
        """Execute a statement, and return its result."""
        return await self.connection.execute(statement, values)

    async def scalar(self, statement: Any) -> Any:  # noqa: ANN401 - of SQLAlchemy
        """Return the first column of the first row; None if there is none."""
        return await self.connection.scalar(statement)

    async def serialise_audit(self) -> None:
        """Let nobody else append to the audit until this transaction ends: SQLite has one writer anyway."""
        if not self.is_sqlite:
            await self.scalar(self.sql.select(self.sql.func.pg_advisory_xact_lock(_AUDIT_LOCK)))


class _Loaded(NamedTuple):
    """The open database, and what was imported for it."""

    engine: AsyncEngine
    sql: ModuleType
    tables: ModuleType


def default_path(environment: os._Environ[str] | dict[str, str] = os.environ) -> Path:
    """Return the file of the database if none is named: in systemd's directory, or in the user's state directory."""
    if directory := environment.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(directory) / "passerby.db"
    state = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "passerby" / "passerby.db"


class Database:
    """One database. All errors of it are raised as DatabaseError, an OSError; it recovers by itself."""

    def __init__(self, url: str | None, clock: Clock) -> None:
        """`url` is `DATABASE_URL`. Nothing is opened. Raises SettingsError if a driver is missing."""
        self._clock = clock
        self.is_off = url == OFF
        self.revision = None if self.is_off else max(path.name for path in _VERSIONS.glob("*_*.py")).partition("_")[0]
        """Of the tables that this version needs; None without a database."""
        self.is_sqlite = url is None or url.startswith("sqlite:")
        self._is_memory = url == MEMORY
        self.file: Path | None = None
        """The file of SQLite; None: there is none."""
        self._url = url or ""
        if self.is_sqlite and not self._is_memory:
            self.file = default_path() if url is None else Path(url.removeprefix("sqlite:///"))
        if url is not None and url.startswith("postgresql:"):
            self._url = url.replace("postgresql:", "postgresql+asyncpg:", 1)
            try:
                import asyncpg  # noqa: F401, PLC0415 - whether it is there
            except ImportError as error:
                raise SettingsError("DATABASE_URL: PostgreSQL needs passerby[postgres]") from error
        self._loaded: _Loaded | None = None
        self._opening: asyncio.Future[None] | None = None
        self._writing = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was ever written, as far as this is known without opening it: a file not there."""
        if self._loaded is not None:
            return False
        return self.is_off or self._is_memory or (self.file is not None and not self.file.exists())

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Session]:
        """A transaction that only reads. Raises DatabaseError and RefusedError."""
        async with self._transaction(writes=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Session]:
        """A transaction that may write. Raises DatabaseError and RefusedError."""
        async with self._transaction(writes=True) as session:
            yield session

    @asynccontextmanager
    async def _transaction(self, *, writes: bool) -> AsyncIterator[Session]:
        if self.is_off:
            raise DatabaseError("there is no database")
        try:
            if self._loaded is None:
                async with time_limit(self._clock, _OPENING):
                    await self.open()
            async with time_limit(self._clock, _ANSWER), AsyncExitStack() as stack:
                if self._is_memory or (writes and self.is_sqlite):
                    await stack.enter_async_context(self._writing)
                loaded = self._usable()
                plain = await stack.enter_async_context(loaded.engine.connect())
                connection = await plain.execution_options(passerby_writes=writes)
                await stack.enter_async_context(connection.begin())
                yield Session(connection, loaded.sql, loaded.tables, self.is_sqlite)
        except TimeoutError as error:
            raise DatabaseError("the database has not answered in time") from error
        except OSError as error:
            raise DatabaseError(str(error)) from error
        except Exception as error:
            if (translated := _translated(error)) is not None:
                raise translated from error
            raise

    def _usable(self) -> _Loaded:
        if self._loaded is None:
            raise DatabaseError("the database was closed")
        return self._loaded

    async def open(self) -> None:
        """Open it, if it is not open yet. Who waits no longer does not hold up the others: it goes on opening.

        Raises what the database and the file system raise.
        """
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(_seen)
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        if self._loaded is not None:
            return
        opening, sql, tables = await asyncio.to_thread(_load)
        if self.file is not None:
            directory = self.file.parent
            if not directory.exists():
                directory.mkdir(parents=True, mode=0o700)
            if not self.file.exists():
                self.file.touch(mode=0o600)
        engine: AsyncEngine = opening.engine(self.file or self._url, is_memory=self._is_memory, busy=_BUSY)
        try:
            await opening.migrate(engine, lock=None if self.is_sqlite else _MIGRATION_LOCK)
        except BaseException:
            await engine.dispose()
            raise
        self._loaded = _Loaded(engine, sql, tables)

    async def check(self) -> None:
        """Raise DatabaseError if it cannot be used now. One that was never used can."""
        if not self.is_empty:
            async with self.read() as session:
                await session.scalar(session.sql.select(1))

    async def close(self) -> None:
        """Close all connections."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await loaded.engine.dispose()


def _seen(opening: asyncio.Future[None]) -> None:
    """Somebody may have waited for it, or nobody any more: that is no error of its own."""
    if not opening.cancelled():
        opening.exception()


def _load() -> tuple[ModuleType, ModuleType, ModuleType]:
    """Import what is needed, which takes a moment."""
    import sqlalchemy  # noqa: PLC0415 - see above

    from passerby.database import opening, schema  # noqa: PLC0415 - see above

    return opening, sqlalchemy, schema


def _translated(error: Exception) -> Exception | None:
    """Return what a transaction raises instead of an error of the database's libraries; None: it is none of theirs."""
    from sqlalchemy import exc  # noqa: PLC0415 - it is loaded by now

    if isinstance(error, OverflowError):  # of SQLite's driver, which SQLAlchemy does not know
        return RefusedError(str(error))
    if not isinstance(error, exc.SQLAlchemyError):
        return None
    original = getattr(error, "orig", None)
    # The first line: PostgreSQL tells the values of a row in those below.
    reason = (str(original or error).splitlines() or [""])[0]
    state = getattr(original, "sqlstate", None) or ""
    if isinstance(error, exc.IntegrityError | exc.DataError) or state.startswith(_REFUSALS):
        return RefusedError(f"{type(original).__name__} {state}".rstrip())
    return DatabaseError(f"the database cannot be used: {reason}")
