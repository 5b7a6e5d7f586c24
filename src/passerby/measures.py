"""What services count for those who run them. Plain numbers: an operator's program reads them, if there is one."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from passerby.errors import Code, RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.errors import PasserbyError


class Histogram:
    """How often a value was how large."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` are the largest value of each bucket, in order; one more bucket has what is larger."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Refusals:
    """What was refused, and which rate limits were met. Codes and names of limits are few, whatever clients send."""

    def __init__(self) -> None:
        """Nothing was refused yet."""
        self.events: Counter[str] = Counter()
        """Events of guests, by code."""
        self.connects: Counter[str] = Counter()
        """Guests who wanted to connect, by code."""
        self.requests: Counter[str] = Counter()
        """HTTP requests, by code."""
        self.limits: Counter[str] = Counter()
        """By the name of the rate limit."""

    def event(self, error: PasserbyError) -> None:
        """An event is refused."""
        self.events[error.code] += 1
        self._limit(error)

    def connect(self, code: Code) -> None:
        """A guest is refused who wants to connect."""
        self.connects[code] += 1
        if code is Code.RATE_LIMITED:
            self.limits["connects"] += 1

    def request(self, code: Code, error: Exception | None = None) -> None:
        """An HTTP request is refused."""
        self.requests[code] += 1
        self._limit(error)

    def _limit(self, error: Exception | None) -> None:
        if isinstance(error, RateLimitedError):
            self.limits[error.limit] += 1
