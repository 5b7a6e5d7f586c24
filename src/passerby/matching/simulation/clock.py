"""Time that passes from one event to the next at once."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SimulatedTimer:
    """A pending call. See `passerby.clock.Timer`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """See `Timer.cancel`."""
        self.callback = None


class SimulatedClock:
    """See `passerby.clock.Clock`. Time is in seconds since the midnight before the first guest; only `run` moves it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._count = 0
        self._timers: list[tuple[float, int, SimulatedTimer]] = []

    def time(self) -> float:
        """See `Clock.time`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> SimulatedTimer:
        """See `Clock.call_later`. Of calls for the same time, the one that was asked for first comes first."""
        timer = SimulatedTimer(callback)
        self._count += 1
        heapq.heappush(self._timers, (self._now + delay, self._count, timer))
        return timer

    def run(self) -> None:
        """Make all calls, each at its time, until none is left."""
        while self._timers:
            due, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._now = due
                timer.callback()
