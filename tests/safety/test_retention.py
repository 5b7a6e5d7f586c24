"""What is kept is removed when its time is over, by the clock that is injected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.safety.retention import Retention
from tests.database.conftest import opened
from tests.database.test_kept import DAY, case, decision
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from pathlib import Path


async def test_evidence_goes_after_its_days_and_records_after_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    begun = clock.time()
    async with opened(f"sqlite:///{tmp_path}/a.db", clock=clock) as store:
        retention = Retention(store.cases, clock, evidence_days=30, record_days=365)
        for number in (1, 2, 3):
            await store.cases.add(case(number, at=begun))
        await store.cases.decide(decision(2, "hold", words="an authority asks", at=begun))
        await store.cases.decide(decision(3, "dismiss", at=begun))

        async def after(days: float) -> list[bool | None]:
            """Return for each case whether it has evidence; None: it is gone."""
            clock.advance(begun + days * DAY - clock.time())
            step = asyncio.create_task(retention.keep())
            await turns()
            due = clock.next_due()
            assert due is not None
            clock.advance(due - clock.monotonic())
            await step
            found = [await store.cases.load(f"{number:032x}") for number in (1, 2, 3)]
            return [None if one is None else one.log is not None for one in found]

        with caplog.at_level("INFO"):
            assert await after(29.9) == [True, True, True]
            assert "removed" not in caplog.text
            assert await after(30.0) == [False, True, False]
            assert "evidence and records removed" in caplog.text
            assert await after(364.9) == [False, True, False]
            assert await after(365.0) == [False, True, None]


class Store:
    """Notes when it is asked, and fails when it shall."""

    def __init__(self, clock: ManualClock) -> None:
        self.asked: list[float] = []
        self.is_away = False
        self._clock = clock

    async def forget(self, *, evidence_before: float, records_before: float) -> tuple[int, int]:
        assert evidence_before > records_before
        self.asked.append(self._clock.monotonic())
        if self.is_away:
            raise OSError
        return 0, 0


async def test_it_looks_soon_after_the_start_then_each_hour_and_soon_after_a_failure() -> None:
    clock = ManualClock()
    store = Store(clock)
    retention = Retention(store, clock, evidence_days=30, record_days=365)  # type: ignore[arg-type]
    background = Background(clock)
    background.repeat("retention", retention.keep)
    await clock.run(60 + 3600)
    assert store.asked == [60, 3660]
    store.is_away = True
    await clock.run(3600)
    store.is_away = False
    await clock.run(120)
    assert store.asked[2] == 7260
    assert 7320 <= store.asked[3] <= 7380
    await background.stop(1)


async def test_a_clock_that_jumps_removes_no_evidence() -> None:
    clock = SystemClock()
    ahead = 0.0
    clock.time = lambda: SystemClock.time() + ahead
    asked: list[float] = []

    class Cases:
        async def forget(self, *, evidence_before: float, **_: float) -> tuple[int, int]:
            asked.append(evidence_before)
            return 0, 0

    retention = Retention(Cases(), clock, evidence_days=30, record_days=365)  # type: ignore[arg-type]
    retention._pause = 0
    ahead = 40 * 86_400
    await retention.keep()
    assert asked[0] < SystemClock.time() - 29 * 86_400
