"""Background alone: a failure is logged, counted and reported, and other work continues."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from passerby.background import FIRST_PAUSE, LONGEST_PAUSE, Background
from passerby.clock import SystemClock
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAME = "the work"


class PanicError(BaseException):
    """What libraries in other languages raise, as PanicException of PyO3."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def background(clock: ManualClock) -> Background:
    return Background(clock)


def boom() -> None:
    raise ValueError("no")


async def fail() -> None:
    boom()


def others() -> set[asyncio.Task[object]]:
    """Return all tasks except the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_that_fails_is_logged_counted_and_told(
    background: Background, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    for pause in (0, 0.5, 0.5):
        clock.advance(pause)
        await background.start(NAME, fail(), lambda: told.append("failed"))

    assert background.failures == {NAME: 3}
    assert told == ["failed"] * 3
    lines = [(record.levelno, record.getMessage(), record.__dict__["failures"]) for record in caplog.records]
    assert lines == [(logging.ERROR, "the work failed", 1), (logging.ERROR, "the work failed", 3)], "one a second"
    assert "ValueError" in caplog.text


async def test_a_task_that_ends_well_tells_nobody(background: Background) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    await background.start(NAME, work(), lambda: done.append("failed"))

    assert (done, background.failures) == (["work"], {})


async def test_whoever_is_told_may_fail_too(background: Background) -> None:
    await background.start(NAME, fail(), boom)

    assert background.failures == {NAME: 1, f"{NAME}, telling so": 1}


async def test_a_cancellation_from_below_is_a_failure(background: Background) -> None:
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told: list[str] = []

    async def work() -> None:
        await awaited

    task = background.start(NAME, work(), lambda: told.append("failed"))
    await turns()
    awaited.cancel()
    await task

    assert told == ["failed"]
    assert background.failures == {NAME: 1}


async def test_settling_waits_for_what_tasks_start(background: Background) -> None:
    done: list[int] = []

    async def work(left: int) -> None:
        await asyncio.sleep(0)
        done.append(left)
        if left:
            background.start(NAME, work(left - 1))

    background.start(NAME, work(5))
    await background.settle()

    assert done == [5, 4, 3, 2, 1, 0]


# ── loops ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_loop_goes_on_after_failures_and_pauses_longer_each_time(
    background: Background, clock: ManualClock
) -> None:
    begun: list[float] = []

    async def step() -> None:
        begun.append(clock.monotonic())
        raise ValueError("no")

    background.repeat(NAME, step)
    await clock.run(100)
    await background.stop(1)

    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert pauses[:4] == pytest.approx([FIRST_PAUSE * 2**n for n in range(4)])
    assert max(pauses) == pytest.approx(LONGEST_PAUSE)
    assert background.failures == {NAME: len(begun)}


async def test_a_step_that_goes_well_ends_the_long_pauses(background: Background, clock: ManualClock) -> None:
    begun: list[float] = []
    bad = {0, 1, 2, 4}

    async def step() -> None:
        number = len(begun)
        begun.append(clock.monotonic())
        if number in bad:
            boom()
        if number == 5:
            await asyncio.Event().wait()

    background.repeat(NAME, step)
    await clock.run(10)
    await background.stop(1)

    assert begun == pytest.approx([0, 0.1, 0.3, 0.7, 0.7, 0.8])


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        asyncio.CancelledError(),
        TimeoutError(),
        AssertionError(),
        BaseExceptionGroup("several", [asyncio.CancelledError()]),
        GeneratorExit(),
        PanicError(),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_no_failure_of_a_step_ends_its_loop(
    background: Background, clock: ManualClock, error: BaseException, *, at_once: bool
) -> None:
    steps = 0

    async def step() -> None:
        if steps == 1:
            raise error
        await asyncio.Event().wait()

    def begin() -> Awaitable[None]:
        nonlocal steps
        steps += 1
        if at_once and steps == 1:
            raise error
        return step()

    background.repeat(NAME, begin)
    await clock.run(1)
    await background.stop(1)

    assert steps == 2
    assert background.failures == {NAME: 1}


# ── timers ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_timer_that_fails_is_counted(background: Background, clock: ManualClock) -> None:
    background.call_later(NAME, 5, boom)

    clock.advance(5)

    assert background.failures == {NAME: 1}
    assert background.timers == set()


async def test_a_cancelled_timer_calls_nobody_and_is_forgotten(background: Background, clock: ManualClock) -> None:
    timer = background.call_later(NAME, 5, boom)
    timer.cancel()
    timer.cancel()

    clock.advance(5)

    assert background.failures == {}
    assert background.timers == set()


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────


async def test_stopping_leaves_nothing_running(background: Background, clock: ManualClock) -> None:
    background.start(NAME, asyncio.sleep(3600))
    background.repeat(NAME, asyncio.Event().wait)  # type: ignore[arg-type]  # never ends
    background.call_later(NAME, 5, boom)

    await background.stop(0.01)

    assert others() == set()
    clock.advance(10)
    assert background.failures == {}


async def test_after_a_stop_nothing_begins(background: Background, clock: ManualClock) -> None:
    await background.stop(0.01)
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    started = background.start(NAME, work(), lambda: done.append("failed"))
    background.repeat(NAME, work)
    background.call_later(NAME, 5, lambda: done.append("timer"))
    await clock.run(10)

    assert await started is False
    assert (done, background.failures, background.timers, others()) == ([], {}, set(), set())


async def test_stopping_lets_what_was_started_end() -> None:
    background = Background(SystemClock())
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        done.append("work")

    background.start(NAME, work())
    await background.stop(5)

    assert done == ["work"]


async def refuse_to_end() -> None:
    for _ in range(2):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize(
    ("work", "is_well"),
    [
        (lambda: asyncio.sleep(0), True),
        (fail, False),
        (lambda: asyncio.sleep(3600), False),
        (refuse_to_end, False),
    ],
)
async def test_a_last_step_has_its_time_whatever_it_does(
    background: Background,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[], Awaitable[object]],
    is_well: bool,
) -> None:
    monkeypatch.setattr("passerby.background._CANCELLED", 0.05)

    assert await background.finish(NAME, work, 0.05) is is_well

    assert background.failures == ({} if is_well else {NAME: 1})
    for task in others():  # the task that ignores cancellation, again
        task.cancel()
    await turns()
    assert others() == set()


def test_of_several_attempts_each_is_made(background: Background) -> None:
    done: list[int] = []

    outcomes = [background.attempt(NAME, work, 1) for work in (done.append, boom_with, done.append)]

    assert (outcomes, done) == ([True, False, True], [1, 1])
    assert background.failures == {NAME: 1}


def boom_with(_argument: int) -> None:
    boom()


async def test_a_step_that_answers_its_end_with_another_error_ends_all_the_same(background: Background) -> None:
    async def step() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError("lost while it was cancelled") from None

    background.repeat(NAME, step)
    await turns()

    await background.stop(1)

    assert others() == set()
