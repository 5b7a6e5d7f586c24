"""Counters in this process's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.stats.counters import Tally

if TYPE_CHECKING:
    from passerby.clock import Clock


class MemoryCounters:
    """The tallies of the nodes in this process; outside of tests there is only one."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for expiry."""
        self._clock = clock
        self._reports: dict[str, tuple[float, Tally]] = {}

    async def report(self, node: str, tally: Tally, lifetime: float) -> None:
        """See Counters."""
        self._reports[node] = (self._clock.monotonic() + lifetime, tally)

    async def total(self) -> Tally:
        """See Counters."""
        now = self._clock.monotonic()
        live = [tally for expires, tally in self._reports.values() if expires > now]
        return Tally(
            online=sum(tally.online for tally in live),
            chatting=sum(tally.chatting for tally in live),
            pairs=sum(tally.pairs for tally in live),
        )

    async def check(self) -> None:
        """See Counters."""

    async def close(self) -> None:
        """See Counters."""
        self._reports.clear()
