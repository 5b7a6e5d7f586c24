"""How fast one connection may send, whatever it sends."""

from __future__ import annotations

import time
from typing import Final

STRETCH: Final = 256
"""Units between two looks at the clock: enough to cost nothing, few enough to stop a flood at once."""
BYTES_PER_UNIT: Final = 4096
"""A packet is one unit, and another for each so many bytes of it."""


class Pace:
    """Counts what a connection sends, in units; a stretch in advance is let through as a burst."""

    __slots__ = ("_due", "_rate", "taken")

    def __init__(self, rate: float) -> None:
        """Allow `rate` units a second."""
        self._rate = rate
        self.taken = 0
        """Units since the last look at the clock."""
        self._due = 0.0

    def take(self, size: int) -> bool:
        """Count a packet of `size` bytes; False when the connection is too fast for too long."""
        self.taken += 1 + size // BYTES_PER_UNIT
        return self.taken < STRETCH or self.in_time()

    def in_time(self) -> bool:
        """Look at the clock: False when the connection is too fast for too long."""
        now = time.monotonic()
        stretch = self.taken / self._rate
        self.taken = 0
        self._due = max(self._due, now - stretch) + stretch
        return self._due <= now + stretch
