"""Buckets of client addresses in this process's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.limits import AddressLimit

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.limits import Rate


class MemoryBuckets:
    """The buckets of one process that shares them with no other."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        """Allow `rate` for each address."""
        limit = AddressLimit(rate, clock)
        self.take_at_once, self.change = limit.take, limit.change

    async def take(self, address: str) -> float:
        """See Buckets."""
        return self.take_at_once(address)
