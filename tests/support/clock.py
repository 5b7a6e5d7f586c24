"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

START = 1_700_000_000.0
"""Epoch seconds at which every ManualClock begins: 2023-11-14T22:13:20Z."""

_TURNS = 25
"""Turns of the event loop that everything woken by a timer gets; a chain of awaits needs a handful."""


class ManualTimer:
    """A call that waits in a ManualClock."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """See `passerby.clock.Clock`. Wall and monotonic time move together, only through `advance`."""

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._now = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, ManualTimer]] = []

    def time(self) -> float:
        return self._start + self._now

    def monotonic(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> ManualTimer:
        assert delay >= 0, "a clock never calls into the past"
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
        """Move on, firing what falls due in order, each timer at its own time."""
        end = self._now + seconds
        while (due := self.next_due()) is not None and due <= end:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            timer.cancelled = True
            timer.callback()
        self._now = end

    async def run(self, seconds: float) -> None:
        """Move on like `advance`, but let the event loop do what each timer sets going before the next one."""
        end = self._now + seconds
        await turns()
        while (due := self.next_due()) is not None and due <= end:
            self.advance(max(0.0, due - self._now))
            await turns()
        self._now = end
        await turns()


async def turns(count: int = _TURNS) -> None:
    """Let everything that is ready to run do so."""
    for _ in range(count):
        await asyncio.sleep(0)
