"""Who is kept out now. All of it is in memory; every second it is asked what has changed."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from passerby.clock import SteadyClock, Timestamps, sleep
from passerby.errors import BannedError
from passerby.logs import Sampled
from passerby.models import BanNotice
from passerby.safety.events import Told
from passerby.safety.marks import device_mark, session_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.live import LiveGuest
    from passerby.safety.cases import Mark, Sanction, SanctionKind
    from passerby.safety.marks import Marks
    from passerby.safety.sanctions import SanctionStore

log = logging.getLogger(__name__)

_INTERVAL: Final = 1.0
"""Seconds between two questions what has changed: a ban holds everywhere within two."""
_DAY: Final = 86_400.0
_ENDS: Final[tuple[SanctionKind, ...]] = ("banned", "session_ended")
"""What ends a session, the worst first."""
_SLICE: Final = 500
"""Live guests that are looked at before others have their turn."""


class Match(NamedTuple):
    """A sanction, and whether only an address or a network has led to it: it may be about a neighbour."""

    sanction: Sanction
    is_shared: bool = False


class BanList:
    """The sanctions that are in force."""

    def __init__(
        self,
        store: SanctionStore,
        marks: Marks,
        clock: Clock,
        background: Background,
        *,
        lives: Callable[[], Iterable[LiveGuest]],
        end: Callable[[LiveGuest, bool], Coroutine[Any, Any, None]],
        told: Callable[[LiveGuest], None],
    ) -> None:
        """`lives()` are the live guests. `end(guest, is_banned)` ends a guest's session, after they were told.

        `told(guest)` keeps with the session that a guest was told a warning.
        """
        self._store = store
        self._marks = marks
        self._wait_clock = clock
        self._clock = SteadyClock(clock)  # a wall clock that is set ends no ban
        self._timestamps = Timestamps(clock)
        self._background = background
        self._lives = lives
        self._end = end
        self._note_told = told
        self._away = Sampled(log.warning, "nobody can say now what moderators have decided", clock.monotonic)
        self._version = 0
        self._sanctions: dict[int, Sanction] = {}
        self._by_mark: dict[tuple[str, bytes], list[Sanction]] = {}
        self.is_active = False
        """Whether anybody is kept out: while nobody is, nothing is looked up."""
        self.bans = 0
        """Bans that are in force."""
        self._has_addresses = False
        self._needs_keys = False
        """Whether there are marks of addresses that may have been made with newer keys than are known here."""

    # ── who is kept out ───────────────────────────────────────────────────────────────────────────

    def check(self, *, session_id: str | None = None, device: str | None = None, address: str = "") -> None:
        """Raise BannedError if a session, a browser (`Guest.device`) or an address is kept out."""
        if not self.is_active:
            return
        match = self.find(session_id=session_id, device=device, address=address)
        if match is not None:
            raise BannedError(self.notice(match))

    def find(self, *, session_id: str | None = None, device: str | None = None, address: str = "") -> Match | None:
        """Return by what a session, a browser or an address is kept out.

        Of several bans, one that is about this guest, and the last to end.
        """
        return self._worst(self._of(session_id, device, address), "banned")

    def ended(self, session_id: str) -> BanNotice | None:
        """Return why moderators ended a session, in the last day; None if they did not."""
        match = self._worst(self._of(session_id, None, ""), "session_ended") if self.is_active else None
        return None if match is None else self.notice(match)

    @staticmethod
    def _worst(known: Iterable[Match], kind: SanctionKind) -> Match | None:
        return max((one for one in known if one.sanction.kind == kind), key=_weight_of, default=None)

    def _of(self, session_id: str | None, device: str | None, address: str) -> Iterator[Match]:
        """Yield what is in force about a session, a browser or an address."""
        for mark in self._marks_of(session_id, device, address):
            for sanction in self._by_mark.get((mark.kind, mark.value), ()):
                if self.is_in_force(sanction):
                    yield Match(sanction, is_shared=_is_of_address(mark))

    def _marks_of(self, session_id: str | None, device: str | None, address: str) -> list[Mark]:
        marks = []
        if session_id is not None:
            marks.append(session_mark(session_id))
        if device is not None:
            marks.append(device_mark(device))
        if address and self._has_addresses:
            marks += self._marks.of_address(address)
        return marks

    def notice(self, match: Match) -> BanNotice:
        """Return what a guest is told. Neighbours learn neither the reason nor the code, which are somebody else's."""
        sanction, is_shared = match
        return BanNotice(
            rule=sanction.rule,
            words="" if is_shared else sanction.words,
            since=self._timestamps.at(sanction.begins_at),
            until=UNSET if sanction.ends_at is None else self._timestamps.at(sanction.ends_at),
            appeal_code=UNSET if is_shared or not sanction.appeal_code else sanction.appeal_code,
            shared=is_shared,
        )

    # ── what has changed ──────────────────────────────────────────────────────────────────────────

    async def keep(self) -> None:
        """Ask what has changed, then wait a second. While the database is away, all stays as it is."""
        try:
            await self.look()
        except OSError:  # a failed loop would wait longer and longer; a ban holds within two seconds once it is back
            self._away.note()
        finally:
            await sleep(self._wait_clock, _INTERVAL)

    async def look(self) -> None:
        """Ask what has changed, and tell whom it is about. Raises OSError."""
        changed = await self._store.changed(self._version)
        is_news = self._take(changed) if changed else self._forget_ended()
        try:
            is_news |= await self._get_keys()
        finally:
            if is_news:
                await self._tell_all()

    def _take(self, changed: list[Sanction]) -> bool:
        """Return whether somebody may have to be told."""
        fresh = [sanction for sanction in changed if self.is_in_force(sanction)]
        for sanction in changed:
            self._sanctions.pop(sanction.id, None)
        self._sanctions |= {sanction.id: sanction for sanction in fresh}
        self._version = changed[-1].version
        self._index()
        self._needs_keys |= any(_is_of_address(mark) for sanction in fresh for mark in sanction.marks)
        return bool(fresh)

    async def _get_keys(self) -> bool:
        """Get the keys by which addresses are known again; return whether they were needed. Raises OSError."""
        if not self._needs_keys:
            return False
        await self._marks.renew()
        self._needs_keys = False
        return True

    def is_in_force(self, sanction: Sanction) -> bool:
        """Return whether a sanction has neither ended nor been lifted."""
        ends_at = sanction.ends_at
        if sanction.kind != "banned" and sanction.begins_at + _DAY < self._clock.time():
            return False  # whoever is to be told comes sooner, or not at all
        return sanction.lifted_at is None and (ends_at is None or ends_at > self._clock.time())

    def _forget_ended(self) -> bool:
        """Return False: nobody is told."""
        ended = [sanction.id for sanction in self._sanctions.values() if not self.is_in_force(sanction)]
        for number in ended:
            del self._sanctions[number]
        if ended:
            self._index()
        return False

    def _index(self) -> None:
        by_mark: dict[tuple[str, bytes], list[Sanction]] = {}
        for sanction in self._sanctions.values():
            for mark in sanction.marks:
                by_mark.setdefault((mark.kind, mark.value), []).append(sanction)
        self._by_mark = by_mark
        self._has_addresses = any(_is_of_address(mark) for one in self._sanctions.values() for mark in one.marks)
        self.is_active = bool(by_mark)
        self.bans = sum(one.kind == "banned" for one in self._sanctions.values())

    async def _tell_all(self) -> None:
        for place, live in enumerate(list(self._lives())):
            if place % _SLICE == _SLICE - 1:
                await sleep(self._wait_clock, 0)
            if not live.has_moved:
                self._background.attempt("telling of a sanction", self.greet, live)

    def greet(self, live: LiveGuest) -> None:
        """Tell a live guest what was decided about them, and end the session if it says so.

        A warning is told once, and to whoever is connected. What ends the session ends it also of those who are away.
        """
        if not self.is_active:
            return
        guest = live.guest
        known = sorted(self._of(guest.session_id, guest.device, live.address), key=lambda one: one.sanction.id)
        for kind in _ENDS:
            worst = self._worst(known, kind)
            if worst is not None:
                live.send(self._told(worst))
                self._background.start("end of a session", self._end(live, kind == "banned"))
                return
        for warning in known:
            if warning.sanction.id > guest.told and live.link is not None:
                live.send(self._told(warning))
                guest.told = warning.sanction.id
                self._note_told(live)

    def _told(self, match: Match) -> Told:
        notice = self.notice(match)
        return Told(
            kind=match.sanction.kind,
            rule=notice.rule,
            words=notice.words,
            until=notice.until,
            appeal_code=notice.appeal_code,
            shared=notice.shared,
        )


def _weight_of(match: Match) -> tuple[bool, float]:
    ends_at = match.sanction.ends_at
    return not match.is_shared, math.inf if ends_at is None else ends_at


def _is_of_address(mark: Mark) -> bool:
    return mark.kind in ("address", "network")
