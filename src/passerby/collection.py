"""Collects what reference counting alone does not free, while hardly anybody is here to notice it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.clock import Clock

_INTERVAL: Final = 60.0
"""Seconds between two looks."""
_FEW: Final = 100
"""Guests on this process up to which it is idle: their objects are looked through in a few milliseconds."""


def tune() -> None:
    """Prepare the process, after it has imported everything: what is here now is never looked through again.

    Guests are thousands of long-lived objects, and a full collection looks through all of them: on a busy server it
    comes after a hundred million new objects, otherwise from a `Collector`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Collector:
    """Runs full collections while few guests are here."""

    def __init__(self, clock: Clock, guests: Callable[[], int]) -> None:
        """`guests()` is their number on this process."""
        self._clock = clock
        self._guests = guests

    async def keep(self) -> None:
        """Wait for the next look; then collect, if few are here."""
        await sleep(self._clock, _INTERVAL)
        if self._guests() <= _FEW:
            gc.collect()
