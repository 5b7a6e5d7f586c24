from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from passerby.assembly import kept
from passerby.settings import Settings
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from passerby.assembly import Kept
    from passerby.clock import Clock
    from tests.support.postgres import Postgres

KEY = "b3VyIGtleSBvZiAzMiBieXRlcywgZm9yIHRoZSB0ZXM="


@asynccontextmanager
async def opened(url: str, key: str | None = KEY, clock: Clock | None = None) -> AsyncIterator[Kept]:
    """Return the adapters of one process."""
    one = kept(Settings(database_url=url, evidence_key=key), clock or ManualClock())
    try:
        yield one
    finally:
        await one.database.close()


@pytest.fixture(params=["file", "memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a new database."""
    if request.param == "memory":
        return "sqlite:///"
    if request.param == "file":
        return f"sqlite:///{tmp_path}/{secrets.token_hex(4)}.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(url: str, clock: ManualClock) -> AsyncIterator[Kept]:
    """Return the adapters of a new database."""
    async with opened(url, clock=clock) as one:
        yield one
