"""One line a minute about what clients can cause as often as they like: counts, of those kinds that have happened."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from passerby.clock import sleep
from passerby.logs import SAMPLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from passerby.clock import Clock

log = logging.getLogger(__name__)


class Summary:
    """Logs how often each kind has happened since the last look."""

    def __init__(
        self, clock: Clock, counts: Mapping[str, Callable[[], Counter[str]]], crowded: Callable[[], Iterable[str]]
    ) -> None:
        """`counts` returns how often each kind has happened since the start, by the message of the line.

        `crowded` returns the rate limits that many have met since it was called last.
        """
        self._clock = clock
        self._crowded = crowded
        self._counts = counts
        self._before: dict[str, Counter[str]] = {}

    async def keep(self) -> None:
        """Wait for a minute, then log."""
        await sleep(self._clock, SAMPLE)
        self.tell()

    def tell(self) -> None:
        """Log what has happened since the last time, if anything has."""
        for message, count in self._counts.items():
            now = Counter(count())
            more = now - self._before.get(message, Counter())
            self._before[message] = now
            if more:
                log.info(message, extra={"counts": dict(more.most_common())})
        for limit in self._crowded():
            log.warning("many guests meet a rate limit: it may be too low", extra={"limit": limit})
