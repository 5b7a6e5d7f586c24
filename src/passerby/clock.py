"""Injected time: services use a `Clock`, so that tests can advance time instead of sleeping."""

from __future__ import annotations

import asyncio
import contextlib
import time
import types
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

T = TypeVar("T")


class Timer(Protocol):
    """A pending call, as returned by `Clock.call_later`."""

    def cancel(self) -> None:
        """Cancel the call; no effect if it has already run."""


class Clock(Protocol):
    """Wall time for timestamps and tokens, monotonic time for durations."""

    def time(self) -> float:
        """Return seconds since the Unix epoch (float, UTC)."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes backwards."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds (≥ 0) from now, in the event loop's thread."""


def nothing() -> None:
    """Do nothing: in place of the callback of a timer that is over, so that it holds nothing any more."""


async def sleep(clock: Clock, delay: float) -> None:
    """Wait `delay` seconds (≥ 0), measured by `clock`."""
    woken = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = clock.call_later(delay, wake)
    try:
        await woken
    finally:
        timer.cancel()


@contextlib.asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Cancel what runs within after `seconds` (≥ 0) of `clock`, and raise TimeoutError: `asyncio.timeout`."""
    async with asyncio.timeout(None) as limit:
        timer = clock.call_later(seconds, lambda: limit.reschedule(0))  # long past: now
        try:
            yield
        finally:
            timer.cancel()


class AnswerLimit:
    """Bounds many waits for answers, each by the same time, with one timer for all: `time_limit`, but cheaper."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Wait for at most `seconds` (≥ 0) of `clock`."""
        self._clock = clock
        self._seconds = seconds
        self._waits: dict[_Wait, float] = {}
        """When each has to end (monotonic seconds), the first to end first."""
        self._due: float | None = None
        """For which time the timer is set."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop of the timer. To ask for the running one is a system call, also within `current_task`."""

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`; cancel it when the time is up, and raise TimeoutError. What never waits costs nothing."""
        try:
            waiting = work.send(None)
        except StopIteration as end:
            return cast("T", end.value)
        due = self._clock.monotonic() + self._seconds
        if self._due is None:
            self._due = due
            self._loop = asyncio.get_running_loop()
            self._clock.call_later(self._seconds, self._expire)
        task = asyncio.current_task(self._loop)
        assert task is not None  # noqa: S101 - whoever awaits is in a task
        wait = _Wait(task)
        self._waits[wait] = due
        try:
            return await _rest(work, waiting)
        except asyncio.CancelledError as error:
            if wait.is_late and wait.task.cancelling() - 1 <= wait.cancelled:
                raise TimeoutError from error
            raise
        finally:
            if wait.is_late:
                wait.task.uncancel()
            else:
                del self._waits[wait]

    def _expire(self) -> None:
        """End what is due. It is late by the clock if the process was paused; then whoever waited gets that time.

        The time until the next is at most the limit: what began after the pause gets no more, nor does any later wait.
        """
        assert self._due is not None  # noqa: S101 - the timer is set
        due = self._due
        while self._waits:
            wait, self._due = next(iter(self._waits.items()))
            if self._due > due:
                self._clock.call_later(min(self._due - due, self._seconds), self._expire)
                return
            del self._waits[wait]
            wait.is_late = True
            wait.task.cancel()
        self._due = None


class _Wait:
    """A task that waits for an answer."""

    __slots__ = ("cancelled", "is_late", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelled = task.cancelling()
        """How often it was cancelled before."""
        self.is_late = False


@types.coroutine
def _rest(work: Coroutine[Any, Any, T], waiting: object) -> Generator[object, Any, T]:
    """Await the rest of `work`, which waits for a future of its event loop."""
    try:
        while True:
            try:
                value = yield waiting
            except BaseException as error:  # noqa: BLE001 - as in any `await`, also a cancellation is for `work`
                waiting = work.throw(error)
            else:
                waiting = work.send(value)
    except StopIteration as end:
        return cast("T", end.value)


class SystemClock:
    """The system's clock and the running event loop's timers."""

    # No wrapper methods: each message reads the clock three times.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(delay, callback)


class SteadyClock:
    """A clock whose time is the wall time at its creation plus the monotonic time since.

    What must last as long as it says, such as a token, takes its time from here: somebody may set the wall clock.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with the time of `clock`."""
        self._clock = clock
        self._offset = clock.time() - clock.monotonic()
        self.monotonic = clock.monotonic
        self.call_later = clock.call_later

    def time(self) -> float:
        """See `Clock.time`. A clock that is set after the creation changes nothing."""
        return self._clock.monotonic() + self._offset

    def wall(self, seconds: float) -> float:
        """Return what the wall clock will show at `seconds` of this clock, if it is not set again.

        The difference is in whole seconds: the same time is shown each time, although the clocks drift apart.
        """
        return seconds + round(self._clock.time() - self.time())


class Timestamps:
    """Formats ISO 8601 UTC timestamps with milliseconds and `Z`, the contract's only time format.

    The part up to the seconds is cached: a busy server needs many timestamps a millisecond.
    """

    __slots__ = ("_clock", "_from", "_prefix", "_second", "_text", "_until", "milliseconds")

    def __init__(self, clock: Clock) -> None:
        """Read the time from `clock`."""
        self._clock = clock
        self._second = -1
        self._prefix = ""
        self.milliseconds = -1
        """The last argument of `at`, in whole milliseconds since the Unix epoch."""
        self._text = ""
        self._from = self._until = 0.0
        """The range of seconds for which `_text` is valid."""

    def now(self) -> str:
        """Return the current time, e.g. `2023-12-07T10:30:00.000Z`."""
        seconds = self._clock.time()
        return self._text if self._from <= seconds < self._until else self.at(seconds)

    def at(self, seconds: float) -> str:
        """Return the time `seconds` after the Unix epoch, truncated to milliseconds."""
        milliseconds = int(seconds * 1000)
        if milliseconds == self.milliseconds:
            return self._text
        second, fraction = divmod(milliseconds, 1000)
        if second != self._second:
            self._second = second
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        self.milliseconds = milliseconds
        self._from, self._until = milliseconds / 1000, (milliseconds + 1) / 1000
        self._text = f"{self._prefix}.{fraction:03d}Z"
        return self._text
