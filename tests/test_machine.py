"""What the machine lacks is logged before guests feel it, and memory that runs out keeps newcomers out alone."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, NamedTuple

import pytest

from passerby.background import Background
from passerby.errors import StorageFullError, UnavailableError
from passerby.machine import FRESH, ClockWatch, DiskWatch, MemoryBudget, resident
from tests.support.clock import ManualClock, turns
from tests.support.conversation import Two

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import StartServer

GIB = 1 << 30


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "passerby.machine"]


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


def test_memory_is_short_near_the_limit_and_until_there_is_clearly_more(caplog: pytest.LogCaptureFixture) -> None:
    used = iter((0, 949, 950, 901, 899, 949))
    budget = MemoryBudget(1000, ManualClock(), lambda: next(used))
    with caplog.at_level("INFO"):
        for is_short in (False, False, True, True, False, False):
            budget.look()
            assert budget.is_short is is_short
    assert lines(caplog) == [
        "memory nears MEMORY_LIMIT: newcomers and uploads are refused",
        "there is memory again for newcomers and uploads",
    ]


def test_without_a_limit_memory_is_never_short() -> None:
    budget = MemoryBudget(0, ManualClock(), lambda: 1 << 60)
    budget.look()
    budget.check_session()
    budget.check_upload()


def test_what_is_refused_says_when_to_try_again() -> None:
    budget = MemoryBudget(1000, ManualClock(), lambda: 1000)
    budget.look()
    with pytest.raises(UnavailableError, match="memory") as refused:
        budget.check_session()
    assert refused.value.retry_after == 30
    with pytest.raises(StorageFullError) as full:
        budget.check_upload()
    assert full.value.retry_after == 30


async def test_whoever_comes_between_two_looks_is_counted() -> None:
    clock, looks = ManualClock(), 0

    def read() -> int:
        nonlocal looks
        looks += 1
        return used

    used = 0
    budget = MemoryBudget(1000, clock, read)
    budget.look()
    used = 960
    budget.check_session()  # what was seen is good for a moment
    budget.check_upload()
    assert looks == 1
    await clock.run(FRESH)
    for _ in range(100):
        with pytest.raises(UnavailableError):
            budget.check_session()
        with pytest.raises(StorageFullError):
            budget.check_upload()
    assert looks == 2
    used = 0
    await clock.run(FRESH)
    budget.check_session()


def test_an_upload_is_refused_that_would_not_fit() -> None:
    budget = MemoryBudget(1000, ManualClock(), lambda: 500)
    budget.check_upload(449)
    with pytest.raises(StorageFullError):
        budget.check_upload(450)
    budget.check_session()


@pytest.mark.parametrize("where", ["memory", "disk"])
async def test_a_file_that_does_not_fit_into_memory_is_refused_if_it_is_to_be_there(
    start_server: StartServer, tmp_path: Path, where: str
) -> None:
    server = await start_server(memory_limit=1 << 30, file_store=where, file_directory=str(tmp_path))
    two = await Two.meet(server)
    memory = server.application.services.memory
    memory._read = lambda: 970 << 20
    memory.look()

    statuses = [(await two.put(bytes(size), "a.bin")).status_code for size in (1 << 20, 9 << 20)]

    assert statuses == [201, 201 if where == "disk" else 507]


def test_the_system_says_what_the_process_takes() -> None:
    before = resident()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    assert 10 << 20 < before < resident() - (32 << 20)


async def test_conversations_go_on_while_newcomers_and_uploads_are_refused(start_server: StartServer) -> None:
    server = await start_server(memory_limit=1 << 50)
    two = await Two.meet(server)
    memory = server.application.services.memory
    memory._read = lambda: 1 << 50
    while not memory.is_short:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)

    answer = await server.http.post("/api/guest")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["retryAfter"] == 30
    refused = await two.put(b"a file", "a.bin")
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
    await two.one.say("Hello")
    assert (await two.other.until("chat:message"))["content"] == "Hello"
    again = await server.connect(two.anna)
    await again.until("connection:established")

    memory._read = lambda: 0
    while (await server.http.post("/api/guest")).status_code != 201:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.1)
    assert (await two.put(b"a file", "a.bin")).status_code == 201


# ── the disk, the clock ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("disk", "warns"),
    [
        (Usage(10 * GIB, 0, GIB // 2), False),
        (Usage(10 * GIB, 0, GIB // 2 - 1), True),
        (Usage(1000 * GIB, 0, GIB), False),
        (Usage(1000 * GIB, 0, GIB - 1), True),
        (Usage(0, 0, 0), False),
    ],
)
async def test_a_disk_that_is_nearly_full_is_told_once_an_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, disk: Usage, warns: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: disk)
    clock = ManualClock()
    background = Background(clock)
    watch = DiskWatch({"DATABASE_URL": tmp_path / "not there yet" / "a.db"}, clock)
    background.repeat("disk", watch.keep)
    await clock.run(3599)
    assert lines(caplog) == ["a disk is nearly full"] * warns
    await clock.run(120)
    assert lines(caplog) == ["a disk is nearly full"] * warns * 2
    await background.stop(1)


@pytest.mark.parametrize(("seconds", "warns"), [(4.0, False), (-4.0, False), (6.0, True), (-3600.0, True)])
async def test_a_clock_that_was_set_is_told_once(caplog: pytest.LogCaptureFixture, seconds: float, warns: bool) -> None:
    clock = ManualClock()
    background = Background(clock)
    background.repeat("clock", ClockWatch(clock).keep)
    await turns()
    clock.set_wall(seconds)
    await clock.run(600)
    assert lines(caplog) == ["the system's clock was set while the server ran"] * warns
    await background.stop(1)
