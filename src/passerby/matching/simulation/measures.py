"""What a run was worth."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.matching.simulation.guests import Common

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from passerby.matching.simulation.guests import Character
    from passerby.matching.simulation.search import Search

MINUTE: Final = 60.0
CURVE: Final = tuple(range(61))
"""The seconds of the curve of waits."""
POPULAR: Final = 10
"""Interests up to this rank are common ones."""
RARE: Final = 50
"""Interests beyond this rank are rare ones."""


class Waits(Struct, frozen=True):
    """How long searches of a group have waited, in seconds. One that was given up counts as long as it was."""

    searches: int
    median: float
    p95: float
    mean: float
    given_up: float
    """The share that was given up."""


class Measures(Struct, frozen=True):
    """What a run was worth. Shares are from 0 to 1; `nan` if there was nothing of which it could be a share."""

    policy: str
    waits: Waits
    new: Waits
    """The same until somebody new was met: who meets the same again, is not there yet. See `_until_new`."""
    language: float
    """Share of the meetings in which the two share a language."""
    interest: float
    """Share of the searches that have met a shared interest, of those for which there was one. See `_existed`."""
    talks: float
    """Share of the conversations longer than a minute."""
    talkers: float
    """Share of the guests who had one."""
    talked: float
    """Minutes that a guest has talked in all, in conversations longer than a minute: the mean."""
    per_minute: float
    """Seconds of searching for a minute of such conversations."""
    repeats: int
    """Meetings of two who had met in the half hour before."""
    needless: int
    """Those of them while somebody else waited."""
    common_language: Waits
    rare_language: Waits
    """Of guests who speak only the rarest language."""
    common_interest: Waits
    """Of guests who have named a common interest."""
    rare_interest: Waits
    """Of guests who have named only rare ones."""
    curve: tuple[float, ...]
    """The share of searches that had found somebody after as many seconds as `CURVE` says."""


def measure(policy: str, searches: Sequence[Search]) -> Measures:
    """Return what the searches of one run were worth."""
    met = [search for search in searches if search.partner is not None]
    long = [search.talked for search in met if search.talked > MINUTE]
    with_choice = _existed(searches)
    languages = _by_frequency(searches)
    by_guest: defaultdict[str, list[Search]] = defaultdict(list)
    for search in searches:
        by_guest[search.guest.id].append(search)
    waited = sum(search.waited for search in searches)

    def group(belongs: Callable[[Character], bool]) -> Waits:
        return _waits([(search.waited, search.partner is not None) for search in searches if belongs(search.guest)])

    return Measures(
        policy=policy,
        waits=_waits([(search.waited, search.partner is not None) for search in searches]),
        new=_waits(_until_new(by_guest.values())),
        language=_share(search.common is not Common.NOTHING for search in met),
        interest=_share(search.common is Common.INTEREST for search in with_choice),
        talks=_share(search.talked > MINUTE for search in met),
        talkers=_share(any(search.talked > MINUTE for search in own) for own in by_guest.values()),
        talked=sum(long) / MINUTE / len(by_guest) if by_guest else math.nan,
        per_minute=waited / (sum(long) / MINUTE) if long else math.nan,
        repeats=sum(search.is_repeat for search in met) // 2,
        needless=sum(search.beside > 0 for search in met) // 2,
        common_language=group(lambda guest: guest.languages[0] == languages[0]),
        rare_language=group(lambda guest: guest.languages == (languages[-1],)),
        common_interest=group(lambda guest: any(rank <= POPULAR for rank in guest.ranks)),
        rare_interest=group(lambda guest: bool(guest.ranks) and min(guest.ranks) > RARE),
        curve=tuple(_share(_has_met_after(search, seconds) for search in searches) for seconds in CURVE),
    )


def _has_met_after(search: Search, seconds: float) -> bool:
    return search.partner is not None and search.waited <= seconds


def _until_new(guests: Iterable[Sequence[Search]]) -> list[tuple[float, bool]]:
    """Return the times until guests have met somebody new, from the searches of each, and whether they have.

    A guest who has met the same again goes on to wait for somebody new from the beginning of that search.
    """
    found = []
    for searches in guests:
        began: float | None = None
        for search in searches:
            began = search.began if began is None else began
            if search.partner is None or not search.is_repeat or search is searches[-1]:
                found.append((search.ended - began, search.partner is not None and not search.is_repeat))
                began = None
    return found


def _waits(ends: Sequence[tuple[float, bool]]) -> Waits:
    """Return the measures of searches that ended after so many seconds, and with success or not."""
    waits = [seconds for seconds, _ in ends]
    return Waits(
        searches=len(waits),
        median=_quantile(waits, 0.5),
        p95=_quantile(waits, 0.95),
        mean=fmean(waits) if waits else math.nan,
        given_up=_share(not is_success for _, is_success in ends),
    )


def _quantile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that `part` of the values do not exceed."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def _share(facts: Iterable[bool]) -> float:
    known = list(facts)
    return sum(known) / len(known) if known else math.nan


def _by_frequency(searches: Iterable[Search]) -> list[str]:
    """Return the first languages of the guests, the most frequent one first."""
    guests: defaultdict[str, set[str]] = defaultdict(set)
    for search in searches:
        guests[search.guest.languages[0]].add(search.guest.id)
    return sorted(guests, key=lambda language: (-len(guests[language]), language))


def _existed(searches: Sequence[Search]) -> list[Search]:
    """Return the searches for which a shared interest existed.

    That is: within the guest's patience somebody else searched, too, with the same mode, an interest and a language in
    common, whom the guest had not met in the half hour before. Whether they had met somebody else first, does not
    matter.
    """
    index: defaultdict[tuple[str, str, str], list[Search]] = defaultdict(list)
    for search in sorted(searches, key=lambda search: search.began):
        for key in _keys(search.guest):
            index[key].append(search)
    begins = {key: [search.began for search in found] for key, found in index.items()}
    longest = max((search.waited for search in searches), default=0.0)

    def had_choice(search: Search) -> bool:
        until, since = search.began + search.turn.patience, search.began - longest
        for key in _keys(search.guest):
            found = index[key]
            for place in range(bisect_right(begins[key], until) - 1, -1, -1):
                other = found[place]
                if other.began < since:
                    break
                is_other = other.guest is not search.guest and other.guest.id not in search.met
                if is_other and other.ended >= search.began:
                    return True
        return False

    return [search for search in searches if had_choice(search)]


def _keys(guest: Character) -> list[tuple[str, str, str]]:
    return [(guest.mode, language, word) for language in guest.languages for word in guest.interests]
