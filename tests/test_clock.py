from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from passerby.clock import AnswerLimit
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.support.clock import ManualTimer


async def test_an_answer_without_waiting_takes_no_timer() -> None:
    clock = ManualClock()

    async def work() -> int:
        return 7

    assert await AnswerLimit(clock, 10).wait_for(work()) == 7
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

    assert await AnswerLimit(clock, 10).wait_for(work()) == 3
    clock.advance(10)
    assert clock.next_due() is None


@pytest.mark.parametrize("waits", [True, False])
async def test_what_the_work_raises_is_raised(*, waits: bool) -> None:
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await AnswerLimit(ManualClock(), 10).wait_for(work())


async def test_an_answer_that_does_not_come_in_time_is_cancelled() -> None:
    clock = ManualClock()
    ended: list[BaseException] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append(error)
            raise

    waiting = asyncio.create_task(AnswerLimit(clock, 10).wait_for(work()))
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

    waiting = asyncio.create_task(AnswerLimit(ManualClock(), 10).wait_for(work()))
    await turns()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_many_waits_share_a_timer_and_each_ends_in_its_own_time() -> None:
    clock = ManualClock()
    limit = AnswerLimit(clock, 10)
    begun = clock.monotonic()
    gate = asyncio.Event()
    ended: dict[int, tuple[str, float]] = {}

    async def wait(number: int, work: Coroutine[Any, Any, object]) -> None:
        try:
            await limit.wait_for(work)
        except TimeoutError:
            ended[number] = "late", clock.monotonic() - begun
        else:
            ended[number] = "in time", clock.monotonic() - begun

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(wait(number, gate.wait() if number in (0, 3) else asyncio.Event().wait()))
            await turns()
            await clock.run(1.5)
        gate.set()
        await clock.run(20)

    late = {number: ("late", number * 1.5 + 10) for number in (1, 2, 4)}
    assert ended == {0: ("in time", 7.5), 3: ("in time", 7.5), **late}
    assert clock.next_due() is None


async def test_time_that_the_timers_lose_is_given_to_all() -> None:
    """See `PatientClock`: after a pause of the process a timer is late, and nobody could have answered."""
    clock = LosingClock()
    limit = AnswerLimit(clock, 10)
    first = asyncio.create_task(limit.wait_for(asyncio.Event().wait()))
    await turns()
    await clock.run(4)
    second = asyncio.create_task(limit.wait_for(asyncio.Event().wait()))
    await turns()
    clock.lost = 100.0

    await clock.run(105.9)
    assert not first.done()
    await clock.run(0.1)
    assert isinstance(first.exception(), TimeoutError)
    await clock.run(3.9)
    assert not second.done()
    await clock.run(0.1)
    assert isinstance(second.exception(), TimeoutError)


class LosingClock(ManualClock):
    """A clock whose pending timers are late by what was lost."""

    lost = 0.0

    def call_later(self, delay: float, callback: Callable[[], object]) -> ManualTimer:
        def fire() -> None:
            lost, self.lost = self.lost, 0.0
            if lost:
                super(LosingClock, self).call_later(lost, callback)
            else:
                callback()

        return super().call_later(delay, fire)


async def test_what_begins_after_a_pause_has_no_more_time_than_else() -> None:
    clock = LosingClock()
    limit = AnswerLimit(clock, 10)
    before = asyncio.create_task(limit.wait_for(asyncio.Event().wait()))
    await turns()
    clock.lost = 100.0
    await clock.run(105)
    after = asyncio.create_task(limit.wait_for(asyncio.Event().wait()))
    await clock.run(5)
    assert isinstance(before.exception(), TimeoutError)

    await clock.run(10)
    assert after.done()
    assert isinstance(after.exception(), TimeoutError)


async def test_what_each_timer_is_late_does_not_add_up() -> None:
    clock = LosingClock()
    limit = AnswerLimit(clock, 10)
    gate = asyncio.Event()
    waiting = asyncio.create_task(limit.wait_for(gate.wait()))
    for _ in range(50):
        clock.lost = 0.5
        for _ in range(21):  # somebody waits whenever the timer fires, but not for long
            former, gate = gate, asyncio.Event()
            waiting = asyncio.create_task(limit.wait_for(gate.wait()))
            await turns()
            former.set()
            await clock.run(0.5)
    begun = clock.monotonic()
    while not waiting.done():
        await clock.run(0.5)

    assert isinstance(waiting.exception(), TimeoutError)
    assert clock.monotonic() - begun <= 11
