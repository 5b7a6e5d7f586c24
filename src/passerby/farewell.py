"""The end of a server that nobody follows at once: guests are told, what is under way gets its time, nothing begins.

| when | what happens |
|---|---|
| at once | every guest gets `connection:closing` with the time until then; no session, search, call or upload begins |
| after `notice` seconds | the connections close, but those of conversations with a call or an upload under way |
| when that has ended, or `patience` seconds after the beginning | those close, too |

It is over earlier when nobody is connected any more.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.errors import Code, StoppingError
from passerby.guests.events import ConnectionClosing

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.calls.calls import Calls
    from passerby.clock import Clock
    from passerby.files.files import Files
    from passerby.guests.sessions import Guests
    from passerby.live import Link, LiveGuest

log = logging.getLogger(__name__)

LOOK: Final = 0.05
"""Seconds between two looks at who is still here."""
_LINGER: Final = 1.0
"""Seconds that a conversation goes on after its call or upload has ended: a file is sent once it is uploaded."""
_RETURN_RATE: Final = 200
"""Guests who are asked to come back in a second, so that a server that has just started is not overrun."""


class Farewell:
    """Says goodbye to the guests of this process, once. Times are in seconds."""

    def __init__(self, guests: Guests, calls: Calls, files: Files, clock: Clock, *, keeps: bool) -> None:
        """`keeps`: sessions and conversations outlive this process, so guests may go on with them."""
        self._guests = guests
        self._calls = calls
        self._files = files
        self._clock = clock
        self._keeps = keeps
        self._closes_at: float | None = None
        """None: it has not begun."""
        self._patient_until = 0.0
        self._away = 0.0
        self._parted: set[Link] = set()
        """Connections that were closed."""
        self._busy_until: dict[str, float] = {}
        """Until when a conversation counts as busy, by the id of its room."""

    @property
    def has_begun(self) -> bool:
        """Return whether guests have been told."""
        return self._closes_at is not None

    def check(self) -> None:
        """Raise StoppingError if nothing may begin any more."""
        if self._closes_at is not None:
            left = max(0.0, self._closes_at - self._clock.monotonic())
            raise StoppingError(left + self._away)

    def greet(self, live: LiveGuest) -> None:
        """Tell a guest who has just connected, if it has begun."""
        if self._closes_at is not None:
            live.send(self._closing(live))

    def _closing(self, live: LiveGuest) -> ConnectionClosing:
        closes_in = max(0.0, self._end_of(live) - self._clock.monotonic())
        spread = self._guests.live_count / _RETURN_RATE
        return ConnectionClosing(
            code=Code.SERVER_SHUTTING_DOWN,
            message="The server stops or starts again",
            closes_in=round(closes_in, 1),
            return_in=round(closes_in + self._away + random.uniform(0, spread), 1),  # noqa: S311 - no secret
            kept=self._keeps,
        )

    def _end_of(self, live: LiveGuest) -> float:
        assert self._closes_at is not None  # noqa: S101 - the callers have looked
        return self._patient_until if self._is_busy(live) else self._closes_at

    async def say(self, *, notice: float, patience: float, away: float, is_over: Callable[[], bool]) -> None:
        """Tell everybody, and return when all connections may close.

        `notice` and `patience` are explained above; `patience` counts only if it is longer. `away` is how long nobody
        will serve then. It is over at once when `is_over()`: nobody is connected, or the operator is in a hurry.
        """
        began = self._clock.monotonic()
        self._closes_at = began + notice
        self._patient_until = began + max(notice, patience)
        self._away = away
        self._look()
        for live in list(self._guests.lives()):
            live.send(self._closing(live))
        while not is_over() and (left := self._closes_at - self._clock.monotonic()) > 0:
            await sleep(self._clock, min(left, LOOK))
            self._look()
        if self._busy_until and not is_over():
            log.info("calls and uploads under way are waited for", extra={"rooms": len(self._busy_until)})
        while self._busy_until and not is_over() and self._clock.monotonic() < self._patient_until:
            self._part()
            await sleep(self._clock, LOOK)
            self._look()

    def _part(self) -> None:
        """Close the connections of who has nothing under way."""
        links = {live.link for live in self._guests.lives() if live.link is not None and not self._is_busy(live)}
        for link in links - self._parted:
            link.close(Code.SERVER_SHUTTING_DOWN)
        self._parted |= links

    def _look(self) -> None:
        """Note which conversations have a call or an upload, and forget those that have had none for a moment."""
        now = self._clock.monotonic()
        for room_id in (*self._calls.rooms(), *self._files.rooms_of_uploads()):
            self._busy_until[room_id] = now + _LINGER
        self._busy_until = {room_id: until for room_id, until in self._busy_until.items() if until > now}

    def _is_busy(self, live: LiveGuest) -> bool:
        return live.member is not None and live.member.room.id in self._busy_until
