"""Many equal delays with a single timer.

All connections of a server wait for the same ping interval, so the item added last is due last. An ordered dict and
one event-loop timer serve any number of items.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable

T = TypeVar("T", bound="Hashable")


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Cancel the call."""


class Scheduler(Protocol):
    """The part of the event loop that a DelayQueue needs; `asyncio.AbstractEventLoop` implements it."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once at `when`."""


class DelayQueue(Generic[T]):
    """Calls `callback(item)` once, `delay` seconds after `item` was added, unless it is discarded before.

    Adding an item again restarts its delay. Every operation is O(1).
    """

    __slots__ = ("_callback", "_delay", "_due", "_scheduler", "_timer")

    def __init__(self, scheduler: Scheduler, delay: float, callback: Callable[[T], object]) -> None:
        """Wait `delay` seconds (≥ 0) for each item."""
        self._scheduler = scheduler
        self._delay = delay
        self._callback = callback
        # Not a plain dict: it skips all its deleted entries to find the first one.
        self._due: OrderedDict[T, float] = OrderedDict()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """Return the number of waiting items."""
        return len(self._due)

    def __contains__(self, item: T) -> bool:
        """Return whether `item` is waiting."""
        return item in self._due

    def waiting(self) -> list[T]:
        """Return the waiting items."""
        return list(self._due)

    def add(self, item: T, start: float | None = None) -> None:
        """Start or restart the delay of `item`: now, or at `start`, which must never decrease between calls."""
        due = (self._scheduler.time() if start is None else start) + self._delay
        self._due[item] = due
        self._due.move_to_end(item)
        if self._timer is None:
            self._timer = self._scheduler.call_at(due, self._fire)

    def due(self, item: T) -> float:
        """Return when `item` is due; infinity when it is not waiting."""
        return self._due.get(item, float("inf"))

    def discard(self, item: T) -> None:
        """Remove `item`; no effect when it is not waiting."""
        self._due.pop(item, None)

    def extend(self, seconds: float) -> None:
        """Let all items wait `seconds` longer. The timer may come too early, and waits again."""
        for item, due in self._due.items():
            self._due[item] = due + seconds

    def close(self) -> None:
        """Remove all items and cancel the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        now = self._scheduler.time()
        fired = self._timer  # kept until the end, so that `add` in a callback sets no second timer
        try:
            # At most the items waiting now: items that a callback adds must wait their whole delay.
            for _ in range(len(self._due)):
                if not self._due:
                    break
                item, due = next(iter(self._due.items()))
                if due > now:
                    break
                del self._due[item]
                self._callback(item)
        finally:  # also when a callback raises: other items are still waiting
            if self._timer is fired:
                first = next(iter(self._due.values()), None)
                self._timer = None if first is None else self._scheduler.call_at(first, self._fire)


@contextlib.asynccontextmanager
async def timeout(scheduler: Scheduler, delay: float) -> AsyncIterator[None]:
    """Raise TimeoutError in the block after `delay` seconds of `scheduler`."""
    async with asyncio.timeout(None) as limit:
        timer = scheduler.call_at(scheduler.time() + delay, lambda: limit.reschedule(asyncio.get_running_loop().time()))
        try:
            yield
        finally:
            timer.cancel()
