"""Measures the event loop and the garbage collector, as long as somebody collects the figures."""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter
from typing import TYPE_CHECKING, Final

from passerby.measures import Histogram
from passerby.socketio.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from passerby.clock import Timer

TICK: Final = 0.1
"""Seconds between two looks at the clock of the event loop: often enough to meet a turn of a few milliseconds."""
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds of the histograms: 5 ms is what one guest may cost the others."""


class TimedTurn(Turn):
    """A turn of the realtime core that is timed: messages are handled and written, not read."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        """Start with empty queues."""
        super().__init__()
        self.seconds = Histogram(_SECONDS)

    def _end(self) -> None:
        begun = perf_counter()
        try:
            super()._end()
        finally:
            self.seconds.add(perf_counter() - begun)


class LoopLag:
    """How late the event loop calls what is due."""

    def __init__(self) -> None:
        """Nothing is measured until `start`."""
        self.seconds = Histogram(_SECONDS)
        self._timer: Timer | None = None

    def start(self) -> None:
        """Measure from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._wait()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._due = self._loop.time() + TICK
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self.seconds.add(max(0.0, self._loop.time() - self._due))
        self._wait()


class Pauses:
    """How long the garbage collector stops everything."""

    def __init__(self) -> None:
        """Nothing is measured until `start`."""
        self.seconds = Histogram(_SECONDS)
        self._begun = 0.0

    def start(self) -> None:
        """Measure from now on."""
        gc.callbacks.append(self._note)

    def stop(self) -> None:
        """Measure no more."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def _note(self, phase: Literal["start", "stop"], _about: Mapping[str, Any]) -> None:
        now = perf_counter()
        if phase == "start":
            self._begun = now
        else:
            self.seconds.add(now - self._begun)
