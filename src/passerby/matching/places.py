"""Where in the queue a search stands, and where it looks for others.

A **place** is a list of searches that wait, the longest waiting first. Its name says what its searches have in common,
so that whoever looks there finds only those who fit, and need not look at others: the work is bounded, however many
wait. What cannot be said by a name are pairs that have met lately, or must never meet; see `may_meet`.

| name | who stands there |
|---|---|
| `i mode language gender location wanted-gender wanted-location interest` | all, once for each combination |
| `l mode language gender location wanted-gender wanted-location` | those who reach LANGUAGE |
| `a mode` | those who reach ANYONE |
| `m mode` | all who will reach ANYONE: nobody is found here, but see `everybody` |

`language` is `*` in a place of all languages, and `?` in one of those who have told none. `gender` and `location` are
empty in a place of all, as `wanted-…` are for those who want nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby.matching.stages import ANYONE, LANGUAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.matching.stages import Openness
    from passerby.models import Ticket, Wish

EXAMINED: Final = 64
"""How many of a tier are looked at until one is found who may be met: more than a guest can have met lately."""
FAIR: Final = 30.0
"""Seconds after which a search comes before better matches, if nothing else is set."""
_OVERDUE: Final = 3
"""After so many times the seconds in which a search comes before better matches, it comes before all of them."""
_PARTS: Final = 3
"""Parts of a location, separated by commas, by each of which it can be wanted."""
_ALL: Final = "*"
_UNKNOWN: Final = "?"
_SEPARATOR: Final = "\x1f"
"""It is in no word, no language, and no trait."""


class Tier(Struct, frozen=True):
    """Places that are equally good to find somebody in. Of all who stand there the longest waiting is taken."""

    places: list[str]
    age: float = 0.0
    """Seconds that they must have waited."""


def stands(wish: Wish, openness: Openness) -> list[str]:
    """Return the places in which a search can be found. It also stands where `everybody` says."""
    languages = (*(wish.languages or (_UNKNOWN,)), _ALL)
    common = [
        _name(wish.mode, language, gender, location, wish.wants_gender, wish.wants_location)
        for language in languages
        for gender in _with_any(wish.gender)
        for location in _regions(wish.location)
    ]
    places = [f"i{each}{_SEPARATOR}{interest}" for each in common for interest in wish.interests]
    if openness.reach >= LANGUAGE:
        places += [f"l{each}" for each in common]
    if openness.reach >= ANYONE:
        places.append(_anyone(wish))
    return places


def everybody(wish: Wish) -> list[str]:
    """Return where all stand whom a search may still meet if it waits, whatever they ask for now.

    As long as there is one whom the two have not met, nobody meets again whom they have met lately. A search that gives
    nothing up does not wait for others, nor they for it.
    """
    return [] if wish.only else ["m" + _name(wish.mode)]


def tiers(wish: Wish, openness: Openness, fair: float) -> Iterator[Tier]:
    """Yield where a search looks, the best first; `fair` is in seconds.

    Those who have waited for long come before a better match, so that nobody waits for ever while others, who have
    more in common, find each other. A search that gives nothing up does not take part in that.
    """
    languages = (*wish.languages, _UNKNOWN) if wish.languages else (_ALL,)
    common = [
        _name(wish.mode, language, wish.wants_gender, wish.wants_location, wanted_gender, wanted_location)
        for language in languages
        for wanted_gender in _with_any(wish.gender)
        for wanted_location in _regions(wish.location)
    ]
    same_language = [f"l{each}" for each in common]
    if not wish.only:
        yield Tier([_anyone(wish)], _OVERDUE * fair)
    if not wish.only and (wish.interests or openness.reach < LANGUAGE):
        yield Tier(same_language, fair)
    if wish.interests:
        yield Tier([f"i{each}{_SEPARATOR}{interest}" for each in common for interest in wish.interests])
    if openness.reach >= LANGUAGE:
        yield Tier(same_language)
    if openness.reach >= ANYONE:
        yield Tier([_anyone(wish)])


def position(ticket: Ticket) -> float:
    """Return the place of a ticket among all that wait, the lowest first: milliseconds, and ties are random."""
    return int(ticket.entered_at * 1000) + (zlib.crc32(ticket.id.encode()) & 0xFFF) / 0x1000


def may_meet(one: Ticket, other: Ticket, *, again: bool) -> bool:
    """Return whether two guests may meet; `again`: both accept somebody whom they have met lately."""
    if _root(one) in other.wish.never or _root(other) in one.wish.never:
        return False
    return again or not (one.guest_id in other.wish.met or other.guest_id in one.wish.met)


def _root(ticket: Ticket) -> str:
    """Return what is in `never` of those who must not meet a guest: see `Guest.root`."""
    return ticket.wish.origin or ticket.guest_id


def _name(*parts: str) -> str:
    return _SEPARATOR + _SEPARATOR.join(parts)


def _anyone(wish: Wish) -> str:
    return "a" + _name(wish.mode)


def _regions(location: str) -> list[str]:
    """Return what counts as the place of a guest: anywhere, the whole, and each of its parts: a city, a country."""
    parts = [part.strip() for part in location.split(",", _PARTS - 1)] if "," in location else []
    return list(dict.fromkeys(("", location, *parts)))


def _with_any(trait: str) -> tuple[str, ...]:
    return ("", trait) if trait else ("",)
