"""A clock that stands still until a test advances it."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING

from passerby.clock import nothing

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_700_000_000.0
"""Start time of every ManualClock, in seconds since the Unix epoch: 2023-11-14T22:13:20Z."""

_TURNS = 25
"""Event loop iterations for code woken by a timer; a chain of awaits needs a few."""


class ManualTimer:
    """A pending call of a ManualClock."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        self.callback = nothing


class ManualClock:
    """See `passerby.clock.Clock`. Wall time and monotonic time advance together, only by `advance`.

    `set_wall` is what somebody does who sets the system's clock.
    """

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._now = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def time(self) -> float:
        return self._start + self._now

    def set_wall(self, seconds: float) -> None:
        """Set wall time forward, or back, without any time passing."""
        self._start += seconds

    def monotonic(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> ManualTimer:
        assert delay >= 0, "a delay must not be negative"
        timer = ManualTimer(callback)
        self._count += 1
        heapq.heappush(self._timers, (self._now + delay, self._count, timer))
        return timer

    def next_due(self) -> float | None:
        """Return the monotonic time of the first pending timer."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, seconds: float) -> None:
        """Advance the time; fire due timers in order, each at its own time."""
        end = self._now + seconds
        while (due := self.next_due()) is not None and due <= end:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            callback = timer.callback
            timer.cancel()
            callback()
        self._now = end

    async def run(self, seconds: float) -> None:
        """Like `advance`, but run the event loop after each timer, before the next one fires."""
        end = self._now + seconds
        await turns()
        while (due := self.next_due()) is not None and due <= end:
            self.advance(max(0.0, due - self._now))
            await turns()
        self._now = end
        await turns()


async def turns(count: int = _TURNS) -> None:
    """Run everything that is ready in the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)
