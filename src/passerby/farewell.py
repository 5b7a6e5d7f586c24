"""The end of a server that nobody follows at once: guests are told, what is under way gets its time, nothing begins.

| when | what happens |
|---|---|
| at once | every guest gets `connection:closing` with the time until then; nothing begins: no session, call or match |
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
    from collections.abc import Callable, Iterable

    from passerby.clock import Clock
    from passerby.guests.sessions import Guests
    from passerby.live import Link, LiveGuest
    from passerby.matching.matchmaking import Matchmaking

log = logging.getLogger(__name__)

LOOK: Final = 0.05
"""Seconds between two looks at who is still here."""
_LINGER: Final = 2.0
"""Seconds that a conversation goes on after its call or upload has ended: a file is sent once it is uploaded."""
_RETURN_RATE: Final = 200
"""Guests who are asked to come back in a second, so that a server that has just started is not overrun."""


class Farewell:
    """Says goodbye to the guests of this process, once. Times are in seconds."""

    def __init__(
        self,
        guests: Guests,
        matchmaking: Matchmaking,
        clock: Clock,
        *,
        busy_rooms: Callable[[], Iterable[str]],
    ) -> None:
        """`busy_rooms` returns the ids of the rooms with a call or an upload under way."""
        self._guests = guests
        self._matchmaking = matchmaking
        self._clock = clock
        self._busy_rooms = busy_rooms
        self._closes_at: float | None = None
        """None: it has not begun."""
        self._patient_until = 0.0
        self._away = 0.0
        self._keeps = False
        self._busy: frozenset[str] = frozenset()
        """The ids of the rooms that were busy at the last look."""
        self._lingers: dict[str, float] = {}
        """Until when those go on that were busy before."""
        self._parted: set[Link] = set()
        """Connections that were closed."""

    @property
    def has_begun(self) -> bool:
        """Return whether guests have been told."""
        return self._closes_at is not None

    @property
    def is_busy(self) -> bool:
        """Return whether a conversation of this process goes on longer than others."""
        return bool(self._busy or self._lingers)

    def check(self) -> None:
        """Raise StoppingError if nothing may begin any more."""
        if self._closes_at is not None:
            raise StoppingError(max(0.0, self._end - self._clock.monotonic()) + self._away)

    def greet(self, live: LiveGuest) -> None:
        """Tell a guest who has just connected, if it has begun; their search waits until they come back."""
        if self._closes_at is not None:
            self._matchmaking.suspend(live)
            live.send(self._closing(live))

    @property
    def _end(self) -> float:
        """When the process ends, at the latest."""
        assert self._closes_at is not None  # noqa: S101 - the callers have looked
        return self._patient_until if self.is_busy else self._closes_at

    def _end_of(self, live: LiveGuest) -> float:
        assert self._closes_at is not None  # noqa: S101 - the callers have looked
        room_id = None if live.member is None else live.member.room.id
        if room_id in self._busy:
            return self._patient_until
        return max(self._closes_at, self._lingers.get(room_id or "", 0.0))

    def _closing(self, live: LiveGuest) -> ConnectionClosing:
        now = self._clock.monotonic()
        spread = self._guests.live_count / _RETURN_RATE
        return ConnectionClosing(
            code=Code.SERVER_SHUTTING_DOWN,
            message="The server stops or starts again",
            closes_in=round(max(0.0, self._end_of(live) - now), 1),
            # Not before the process has ended: whoever comes back earlier is only sent away again.
            return_in=round(max(0.0, self._end - now) + self._away + random.uniform(0, spread), 1),  # noqa: S311 - no secret
            kept=self._keeps,
        )

    async def say(
        self, *, notice: float, patience: float, away: float, keeps: bool, is_over: Callable[[], bool]
    ) -> None:
        """Tell everybody, and return when all connections may close; those that need not wait are closed already.

        `notice` and `patience` are explained above; `patience` counts only if it is longer. `away` is how long nobody
        will serve then. `keeps`: sessions and conversations outlive this process, so guests may go on with them. It is
        over at once when `is_over()`: nobody is connected, or the operator is in a hurry.
        """
        began = self._clock.monotonic()
        self._closes_at = began + notice
        self._patient_until = began + max(notice, patience)
        self._away = away
        self._keeps = keeps
        self._busy = frozenset(self._busy_rooms())
        for live in list(self._guests.lives()):
            self.greet(live)
        while not is_over() and (left := self._closes_at - self._clock.monotonic()) > 0:
            await sleep(self._clock, min(left, LOOK))
            self._look()
        if self.is_busy and not is_over():
            rooms = len(self._busy | self._lingers.keys())
            log.info("calls and uploads under way are waited for", extra={"rooms": rooms})
        while self.is_busy and not is_over() and self._clock.monotonic() < self._patient_until:
            self._part(self._has_ended)
            await sleep(self._clock, LOOK)
            self._look()

    def part_with_all(self) -> None:
        """Close the connections of all guests."""
        self._part(lambda _: True)

    def _look(self) -> None:
        """Notice whose call or upload has ended: they are told that they have a moment more."""
        now = self._clock.monotonic()
        before, self._busy = self._busy, frozenset(self._busy_rooms())
        self._lingers = {room_id: until for room_id, until in self._lingers.items() if until > now}
        ended = before - self._busy
        if ended:
            self._lingers |= dict.fromkeys(ended, now + _LINGER)
            for live in list(self._guests.lives()):
                if live.member is not None and live.member.room.id in ended:
                    live.send(self._closing(live))

    def _has_ended(self, live: LiveGuest) -> bool:
        return self._end_of(live) <= self._clock.monotonic()

    def _part(self, has_ended: Callable[[LiveGuest], bool]) -> None:
        """Close the connections of those for whom it has ended."""
        links = {live.link for live in self._guests.lives() if live.link is not None and has_ended(live)}
        for link in links - self._parted:
            link.close(Code.SERVER_SHUTTING_DOWN)
        self._parted |= links
