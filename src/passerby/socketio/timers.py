"""Many equal delays for the price of one timer.

A server's connections all wait for the same ping interval, so whoever starts to wait last is due
last: a dict in insertion order and one event-loop timer serve any number of them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T", bound="Hashable")


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Make sure the call never happens."""


class Scheduler(Protocol):
    """What a DelayQueue needs of the event loop; `asyncio.AbstractEventLoop` is one."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once at `when`."""


class DelayQueue(Generic[T]):
    """Calls `callback(item)` once, `delay` seconds after `item` was added, unless it is discarded before.

    Adding an item again starts its delay anew. Every operation is O(1).
    """

    __slots__ = ("_callback", "_delay", "_due", "_scheduler", "_timer")

    def __init__(self, scheduler: Scheduler, delay: float, callback: Callable[[T], object]) -> None:
        """Wait `delay` seconds (≥ 0) for each item."""
        self._scheduler = scheduler
        self._delay = delay
        self._callback = callback
        # Not a plain dict: that one walks over all it has deleted to find its first item.
        self._due: OrderedDict[T, float] = OrderedDict()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._due)

    def __contains__(self, item: T) -> bool:
        """Tell whether `item` waits."""
        return item in self._due

    def add(self, item: T, start: float | None = None) -> None:
        """Start, or start anew, the delay of `item`: now, or at `start`, which must never go back."""
        due = (self._scheduler.time() if start is None else start) + self._delay
        self._due[item] = due
        self._due.move_to_end(item)
        if self._timer is None:
            self._timer = self._scheduler.call_at(due, self._fire)

    def due(self, item: T) -> float:
        """Return when `item` is due, infinity when it does not wait."""
        return self._due.get(item, float("inf"))

    def discard(self, item: T) -> None:
        """Forget `item`; harmless when it does not wait."""
        self._due.pop(item, None)

    def close(self) -> None:
        """Forget everything and stop the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        now = self._scheduler.time()
        fired = self._timer  # stays until the end, so that what a callback adds sets no timer of its own
        try:
            # No more than wait now: what a callback adds has its whole delay before it.
            for _ in range(len(self._due)):
                if not self._due:
                    break
                item, due = next(iter(self._due.items()))
                if due > now:
                    break
                del self._due[item]
                self._callback(item)
        finally:  # also when a callback fails: the others are still waiting
            if self._timer is fired:
                first = next(iter(self._due.values()), None)
                self._timer = None if first is None else self._scheduler.call_at(first, self._fire)
