"""Counters in this process's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.stats.counters import sum_of

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.stats.counters import Tally


class MemoryCounters:
    """The tallies of the nodes in this process; outside of tests there is only one."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for expiry."""
        self._clock = clock
        self._reports: dict[str, tuple[float, Tally]] = {}

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """See Counters."""
        self._reports[node] = (self._clock.monotonic() + lifetime, tally)

    async def forget(self, node: str) -> None:
        """See Counters."""
        self._reports.pop(node, None)

    async def total(self) -> Tally:
        """See Counters."""
        return sum_of(tally for _, tally in self.live().values())

    def live(self) -> dict[str, tuple[float, Tally]]:
        """Return, for each node whose report has not expired, the seconds until it does (> 0), and its tally."""
        now = self._clock.monotonic()
        return {node: (expires - now, tally) for node, (expires, tally) in self._reports.items() if expires > now}

    async def check(self) -> None:
        """See Counters."""

    async def close(self) -> None:
        """See Counters."""
        self._reports.clear()
