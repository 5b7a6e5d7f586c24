from __future__ import annotations

import asyncio

import pytest

from passerby.clock import answer
from tests.support.clock import ManualClock, turns


async def test_an_answer_without_waiting_takes_no_timer() -> None:
    clock = ManualClock()

    async def work() -> int:
        return 7

    assert await answer(clock, work(), 10) == 7
    assert clock.next_due() is None


async def test_an_answer_in_time_is_returned_however_often_it_waits() -> None:
    clock = ManualClock()
    seen: list[int] = []

    async def work() -> int:
        for number in range(3):
            async with asyncio.timeout(30):
                await asyncio.sleep(0)
            try:
                await asyncio.wait_for(fails(number), 30)
            except OSError:
                seen.append(number)
        return sum(seen)

    async def fails(number: int) -> None:
        await asyncio.sleep(0)
        raise OSError(number)

    assert await answer(clock, work(), 10) == 3
    assert clock.next_due() is None


@pytest.mark.parametrize("waits", [True, False])
async def test_what_the_work_raises_is_raised(*, waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await answer(ManualClock(), work(), 10)


async def test_an_answer_that_does_not_come_in_time_is_cancelled() -> None:
    clock = ManualClock()
    ended: list[BaseException] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append(error)
            raise

    waiting = asyncio.create_task(answer(clock, work(), 10))
    await turns()
    clock.advance(10)
    with pytest.raises(TimeoutError):
        await waiting
    assert len(ended) == 1


async def test_whoever_is_cancelled_while_waiting_cancels_the_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(answer(ManualClock(), work(), 10))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
