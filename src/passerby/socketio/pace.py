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

    __slots__ = ("_due", "_rate", "_taken")

    def __init__(self, rate: float) -> None:
        """Allow `rate` units a second."""
        self._rate = rate
        self._taken = 0
        self._due = 0.0

    def take(self, size: int) -> bool:
        """Count a packet of `size` bytes; False when the connection is too fast for too long."""
        self._taken += 1 + size // BYTES_PER_UNIT
        return self._taken < STRETCH or self._in_time()

    def _in_time(self) -> bool:
        now = time.monotonic()
        stretch = self._taken / self._rate
        self._taken = 0
        self._due = max(self._due, now - stretch) + stretch
        return self._due <= now + stretch
