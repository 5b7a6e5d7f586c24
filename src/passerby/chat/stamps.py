"""Ids and timestamps of messages; this is the hot path."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from passerby.clock import Timestamps

if TYPE_CHECKING:
    from passerby.clock import Clock

_BATCH: Final = 256
"""Ids whose random bits are drawn at once: a draw is a system call."""
_DIGITS: Final = 12
"""Hexadecimal digits of a message's random bits, 48 of them."""


class Stamps:
    """Makes each message's id `msg_<epoch ms>_<random>` and timestamp, both of one reading of the clock."""

    def __init__(self, clock: Clock) -> None:
        """Read the time from `clock`."""
        self._time = clock.time
        self._timestamps = Timestamps(clock)
        self._drawn: list[str] = []
        self._from = self._until = 0.0
        """The range of seconds, a millisecond, for which `_prefix` and `_timestamp` are valid."""
        self._prefix = self._timestamp = ""

    def next(self) -> tuple[str, str]:
        """Return the id and the timestamp of a message that is sent now."""
        seconds = self._time()
        if not self._from <= seconds < self._until:
            self._timestamp = self._timestamps.at(seconds)
            milliseconds = self._timestamps.milliseconds
            self._prefix = f"msg_{milliseconds}_"
            self._from, self._until = milliseconds / 1000, (milliseconds + 1) / 1000
        if not self._drawn:
            digits = secrets.token_hex(_BATCH * _DIGITS // 2)
            self._drawn = [digits[place : place + _DIGITS] for place in range(0, len(digits), _DIGITS)]
        return self._prefix + self._drawn.pop(), self._timestamp
