"""How long searches have taken lately, at this hour of the day."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.clock import Clock

_HOUR: Final = 3600.0
_HOURS: Final = 24
_LATELY: Final = 1800.0
"""Seconds for which a search says something whatever the hour."""
_DAYS: Final = 7 * _HOURS * _HOUR
"""Seconds for which it says something about its hour of the day: of each day of a week once."""
_KEPT: Final = 64
"""Searches of one hour of the day that are kept, the last ones: many for a median, and few to tell other nodes."""
_ENOUGH: Final = 5
"""Fewer say nothing."""


class Waits:
    """How long this node's searches took until a match, in seconds. Keeps a bounded number of them."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for the hour of the day (UTC), and for how long ago a search was."""
        self._clock = clock
        self._hours: list[deque[tuple[float, float]]] = [deque(maxlen=_KEPT) for _ in range(_HOURS)]
        """For each hour of the day the last searches: when they ended (seconds since the Unix epoch), how long they
        took."""

    def add(self, seconds: float) -> None:
        """A search has ended now, with a match."""
        now = self._clock.time()
        self._hours[_hour(now)].append((now, seconds))

    def lately(self) -> list[float]:
        """Return how long those took that count now: of the last half an hour, and of this hour of the last days."""
        now = self._clock.time()
        hour = _hour(now)
        return [
            round(seconds, 1)
            for index, limit in ((hour, _DAYS), (hour - 1, _LATELY))
            for at, seconds in self._hours[index]
            if now - at < limit
        ]


def usual(waits: Sequence[float]) -> float | None:
    """Return the median of `waits`; None if they are too few."""
    return round(median(waits), 1) if len(waits) >= _ENOUGH else None


def _hour(seconds: float) -> int:
    return int(seconds // _HOUR) % _HOURS
