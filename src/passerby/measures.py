"""What services count for those who run them. Plain numbers: an operator's program reads them, if there is one."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

from passerby.errors import Code, RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.errors import PasserbyError


CROWD: Final = 10
"""Guests, or addresses, who meet the same limit in a minute: so many at once are hardly all hostile."""


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
        self._who: dict[str, set[int]] = {}
        """Who has met each limit lately, as hashes."""

    def event(self, error: PasserbyError, who: str) -> None:
        """An event of the guest `who` is refused."""
        self.events[error.code] += 1
        self._limit(error, who)

    def connect(self, code: Code, who: str) -> None:
        """A guest of the address `who` is refused who wants to connect."""
        self.connects[code] += 1
        if code is Code.RATE_LIMITED:
            self.meet("connects", who)

    def meet(self, limit: str, who: str) -> None:
        """A guest, or an address, meets a rate limit."""
        self.limits[limit] += 1
        met = self._who.setdefault(limit, set())
        if len(met) < CROWD:
            met.add(hash(who))

    def request(self, code: Code, error: Exception | None = None, who: str = "") -> None:
        """An HTTP request of the address `who` is refused."""
        self.requests[code] += 1
        self._limit(error, who)

    def _limit(self, error: Exception | None, who: str) -> None:
        if isinstance(error, RateLimitedError):
            self.meet(error.limit, who)

    def crowded(self) -> list[str]:
        """Return the limits that many have met since the last call: too many to be all floods."""
        before, self._who = self._who, {}
        return sorted(limit for limit, met in before.items() if len(met) >= CROWD)
