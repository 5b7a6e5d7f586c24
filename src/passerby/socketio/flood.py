"""Limits the packet rate of one connection, whatever the packets contain."""

from __future__ import annotations

import time
from typing import Final

STRETCH: Final = 256
"""Units between two clock reads: the cost is small, and a flood is still stopped at once."""
BYTES_PER_UNIT: Final = 4096
"""A packet counts one unit, plus one for every 4096 bytes."""


class Pace:
    """Counts what a connection sends, in units. The first `STRETCH` units are allowed as a burst."""

    __slots__ = ("_due", "_rate", "taken")

    def __init__(self, rate: float) -> None:
        """Allow `rate` units a second."""
        self._rate = rate
        self.taken = 0
        """Units since the last clock read."""
        self._due = 0.0

    def take(self, size: int) -> bool:
        """Count a packet of `size` bytes; return False if the connection exceeds its rate for too long."""
        self.taken += 1 + size // BYTES_PER_UNIT
        return self.taken < STRETCH or self.in_time()

    def in_time(self) -> bool:
        """Read the clock; return False if the connection exceeds its rate for too long."""
        now = time.monotonic()
        stretch = self.taken / self._rate
        self.taken = 0
        self._due = max(self._due, now - stretch) + stretch
        return self._due <= now + stretch
