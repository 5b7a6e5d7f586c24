"""Time, injected: services ask a `Clock`, so tests can jump instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """A pending call, as returned by `Clock.call_later`."""

    def cancel(self) -> None:
        """Make sure the call never happens; harmless when it already has."""


class Clock(Protocol):
    """Wall time for what people and tokens see, monotonic time for how long things last."""

    def time(self) -> float:
        """Return seconds since the Unix epoch (float, UTC)."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds (≥ 0) from now, in the event loop's thread."""


async def sleep(clock: Clock, delay: float) -> None:
    """Wait `delay` seconds (≥ 0) of `clock`."""
    woken = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    timer = clock.call_later(delay, wake)
    try:
        await woken
    finally:
        timer.cancel()


class SystemClock:
    """The machine's clock and the running event loop's timers."""

    # The functions themselves: a message asks three times.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """See `Clock.call_later`."""
        return asyncio.get_running_loop().call_later(delay, callback)


class Timestamps:
    """ISO 8601 UTC with milliseconds and `Z` (the contract's only time format), cheaply.

    The date and time to the second change once a second, so they are formatted once a second; and a busy
    server asks many times a millisecond.
    """

    __slots__ = ("_clock", "_from", "_prefix", "_second", "_text", "_until", "milliseconds")

    def __init__(self, clock: Clock) -> None:
        """Read the time from `clock`."""
        self._clock = clock
        self._second = -1
        self._prefix = ""
        self.milliseconds = -1
        """What `at` was last asked for, in whole milliseconds after the Unix epoch."""
        self._text = ""
        self._from = self._until = 0.0
        """The seconds that `_text` is for."""

    def now(self) -> str:
        """Return the present moment, e.g. `2023-12-07T10:30:00.000Z`."""
        seconds = self._clock.time()
        return self._text if self._from <= seconds < self._until else self.at(seconds)

    def at(self, seconds: float) -> str:
        """Return the moment `seconds` after the Unix epoch, cut to milliseconds."""
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
