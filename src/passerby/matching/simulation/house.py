"""A house: guests come, search, meet by a policy, talk, part, search again and go."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Final

from passerby.matching.simulation.guests import Common
from passerby.matching.simulation.search import Search

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.matching.simulation.clock import SimulatedClock
    from passerby.matching.simulation.guests import Character
    from passerby.matching.simulation.policies import Policy
    from passerby.matching.simulation.population import Stays

REPEAT: Final = 1800.0
"""Seconds after a conversation in which to meet the same guest again counts as a repeat."""


class House:
    """One run of a population with one policy."""

    def __init__(self, stays: Stays, policy: Policy, clock: SimulatedClock) -> None:
        self._stays = {Common.NOTHING: stays.nothing, Common.LANGUAGE: stays.language, Common.INTEREST: stays.interest}
        self._policy = policy
        self._clock = clock
        self._searches: list[Search] = []
        self._waiting: defaultdict[str, dict[Search, None]] = defaultdict(dict)
        """Searches that wait, by mode."""
        self._partings: defaultdict[str, dict[str, float]] = defaultdict(dict)
        """When each guest has parted from others, the latest last."""

    def run(self, guests: Iterable[Character]) -> list[Search]:
        """Return all searches of the guests."""
        for guest in guests:
            self._clock.call_later(guest.arrives, partial(self._search, guest, 0))
        self._clock.run()
        return self._searches

    def _search(self, guest: Character, number: int) -> None:
        search = Search(guest, number, self._clock.time(), self._met(guest))
        self._searches.append(search)
        partner = self._policy.enter(search)
        if partner is not None:
            self._meet(search, partner)
            return
        self._waiting[guest.mode][search] = None
        self._clock.call_later(search.turn.patience, partial(self._give_up, search))
        self._look_later(search, 0.0)

    def _met(self, guest: Character) -> dict[str, float]:
        """Return whom the guest has met lately, and when they parted, the latest last."""
        partings, since = self._partings[guest.id], self._clock.time() - REPEAT
        for other in [other for other, at in partings.items() if at <= since]:
            del partings[other]
        return dict(partings)

    def _have_met(self, one: Character, other: Character) -> bool:
        parted = self._partings[one.id].get(other.id)
        return parted is not None and parted > self._clock.time() - REPEAT

    def _look_later(self, search: Search, elapsed: float) -> None:
        at = self._policy.next_look(search, elapsed)
        if at is not None:
            self._clock.call_later(at - elapsed, partial(self._look, search, at))

    def _look(self, search: Search, elapsed: float) -> None:
        """Look after so many seconds. They are not taken from the clock, whose sums are rounded."""
        if search.is_over:
            return
        partner = self._policy.look(search, elapsed)
        if partner is not None:
            self._meet(search, partner)
        else:
            self._look_later(search, elapsed)

    def _give_up(self, search: Search) -> None:
        if not search.is_over:
            search.ended = self._clock.time()
            self._leave(search)
            self._policy.leave(search)

    def _leave(self, search: Search) -> None:
        self._waiting[search.guest.mode].pop(search, None)

    def _meet(self, one: Search, other: Search) -> None:
        now = self._clock.time()
        common = one.guest.common(other.guest)
        stay = self._stays[common]
        one_stays, other_stays = one.turn.stays(stay), other.turn.stays(stay)
        is_repeat = self._have_met(one.guest, other.guest)
        for search in (one, other):
            self._leave(search)
        beside = self._beside(one, other) if is_repeat else 0.0
        for search, partner in ((one, other), (other, one)):
            search.ended = now
            search.partner = partner
            search.common = common
            search.talked = min(one_stays, other_stays)
            search.is_repeat = is_repeat
            search.beside = beside
        first, second = (one, other) if one_stays <= other_stays else (other, one)
        self._clock.call_later(first.talked, partial(self._part, first, second))

    def _beside(self, one: Search, other: Search) -> float:
        """Return for how long somebody else waits whom one of the two has not met lately; 0: there is nobody."""
        waits = (
            self._clock.time() - search.began
            for search in self._waiting[one.guest.mode]
            for guest in (one.guest, other.guest)
            if not self._have_met(search.guest, guest)
        )
        return max(waits, default=0.0)

    def _part(self, first: Search, second: Search) -> None:
        """`first` ends the conversation with `second`."""
        now = self._clock.time()
        for search, partner in ((first, second), (second, first)):
            partings = self._partings[search.guest.id]
            partings.pop(partner.guest.id, None)  # so that the latest is last
            partings[partner.guest.id] = now
            number = search.number + 1
            if number < len(search.guest.turns):
                pause = 0.0 if search is first else search.turn.pause
                self._clock.call_later(pause, partial(self._search, search.guest, number))
