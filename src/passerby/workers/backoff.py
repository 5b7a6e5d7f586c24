"""How long a process that has died waits for its next start."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.1
"""Seconds after a process that had lived long, or that is the first."""
LONGEST: Final = 10.0
"""Seconds at most: a crash loop must cost little, but end soon after its cause has."""
LONG_LIFE: Final = 30.0
"""Seconds of a life after which a death is no longer part of a crash loop."""


class Backoff:
    """The pauses of one place: each twice as long as the one before, until a process has lived long."""

    def __init__(self) -> None:
        """No process has died yet."""
        self._pause = 0.0

    def died(self, lived: float) -> float:
        """Return how many seconds to wait after a process that has lived `lived` seconds."""
        self._pause = FIRST if lived >= LONG_LIFE or not self._pause else min(self._pause * 2, LONGEST)
        return self._pause
