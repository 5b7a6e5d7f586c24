"""What the parent tells its workers, with workers that serve nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from passerby.settings import Settings
from passerby.workers.parent import Parent
from tests.support.valkey import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STUB = str(Path(__file__).with_name("stub.py"))


class Notes:
    """What the stubs have written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.code: asyncio.Future[int]

    def all(self, key: str) -> list[dict[str, Any]]:
        """Return the notes that have `key`."""
        if not self._path.exists():
            return []
        notes = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return [note for note in notes if key in note]

    async def until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await until(holds, patience=30)

    async def started(self, number: int) -> dict[str, int]:
        """Wait until `number` stubs have begun; return their process ids by their tags."""
        await self.until(lambda: len(self.all("tag")) >= number)
        return {note["tag"]: note["pid"] for note in self.all("tag")}


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Notes]:
    """Run a parent with three stubs in this process."""
    async with parent(tmp_path, monkeypatch, "serve") as notes:
        await notes.started(3)
        yield notes


@asynccontextmanager
async def parent(folder: Path, monkeypatch: pytest.MonkeyPatch, stub: str) -> AsyncIterator[Notes]:
    monkeypatch.setenv("STUB", stub)
    monkeypatch.setenv("STUB_LOG", str(folder / "log"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("src", ".")))
    notes = Notes(folder / "log")
    settings = Settings(port=0, workers="3", redis_url="redis://127.0.0.1:1")
    announced = asyncio.Event()
    notes.code = asyncio.ensure_future(Parent(settings, lambda _: announced.set(), [STUB]).run())
    if stub == "serve":
        await asyncio.wait_for(announced.wait(), 30)
    yield notes
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(notes.code, 30) == 0


async def test_all_others_are_told_at_once_that_a_worker_has_died(running: Notes) -> None:
    tags = await running.started(3)
    tag, pid = tags.popitem()
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await running.until(lambda: len(running.all("gone")) == 2)
    took = time.monotonic() - begun

    assert {note["pid"]: note["gone"] for note in running.all("gone")} == dict.fromkeys(tags.values(), f"node_{tag}")
    assert took < 1
    await running.started(4)
    assert tag not in [note["tag"] for note in running.all("tag")][3:], "the next one has another tag"


async def test_the_roster_has_who_takes_clients(running: Notes) -> None:
    tags = await running.started(3)
    await running.until(lambda: running.all("roster")[-1]["roster"] == sorted(tags))
    tag, pid = tags.popitem()
    os.kill(pid, signal.SIGTERM)
    after = await running.started(4)
    (new,) = after.keys() - {*tags, tag}
    await running.until(lambda: running.all("roster")[-1]["roster"] == sorted([*tags, new]))
    assert sorted(tags) in [note["roster"] for note in running.all("roster")]


async def test_a_worker_that_never_starts_is_tried_slower_and_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with parent(tmp_path, monkeypatch, "crash") as notes:
        await notes.until(lambda: sum("has died" in record.message for record in caplog.records) >= 9)
    pauses: dict[int, list[float]] = {}
    for record in caplog.records:
        if "has died" in record.message:
            pauses.setdefault(vars(record)["worker"], []).append(vars(record)["pause"])
    assert set(pauses) == {1, 2, 3}
    assert all(each == [0.1, 0.2, 0.4, 0.8, 1.6][: len(each)] for each in pauses.values())
