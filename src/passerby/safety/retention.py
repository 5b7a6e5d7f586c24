"""What is kept is forgotten when its time is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from passerby.clock import SteadyClock, sleep

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.safety.cases import CaseStore

log = logging.getLogger(__name__)

_INTERVAL: Final = 3600.0
"""Seconds between two looks."""
_FIRST: Final = 60.0
"""Seconds until the first."""
_DAY: Final = 86_400.0


class Retention:
    """Removes evidence and records that are too old."""

    def __init__(self, cases: CaseStore, clock: Clock, *, evidence_days: float, record_days: float) -> None:
        """See the settings of the same names."""
        self._cases = cases
        self._wait_clock = clock
        self._clock = SteadyClock(clock)  # a wall clock that is set removes nothing
        self._evidence = evidence_days * _DAY
        self._records = record_days * _DAY
        self._pause = _FIRST

    async def keep(self) -> None:
        """Wait until it is time, then remove what is too old. A failure is tried again soon: see Background.repeat."""
        await sleep(self._wait_clock, self._pause)
        self._pause = _FIRST
        now = self._clock.time()
        evidence, records = await self._cases.forget(
            evidence_before=now - self._evidence, records_before=now - self._records
        )
        self._pause = _INTERVAL
        if evidence or records:
            log.info("evidence and records removed", extra={"evidence": evidence, "records": records})
