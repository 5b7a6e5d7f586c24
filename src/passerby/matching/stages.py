"""How long a search asks for what, until it takes whom it can get."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from passerby.matching.events import Stage
    from passerby.models import Wish

INTERESTS, LANGUAGE, ANYONE = range(3)
"""How far a search reaches: to those who share an interest, and a language; a language; or to all of the same mode."""
_NAMES: Final[tuple[Stage, Stage, Stage]] = ("interests", "language", "anyone")


class Openness(Struct, frozen=True):
    """Whom a search accepts now."""

    reach: int = ANYONE
    """INTERESTS, LANGUAGE or ANYONE."""
    again: bool = True
    """Whether it may be somebody who was met lately. Both have to accept that."""

    def stage(self, wish: Wish) -> Stage:
        """Return the name for clients."""
        return "again" if self.again and wish.met and self.reach == ANYONE else _NAMES[self.reach]


OPEN: Final = Openness()
"""Everybody."""


class Steps(Struct, frozen=True):
    """The times of the stages, in seconds."""

    interests: float
    """How long a shared interest is asked for."""
    language: float
    """How long after that a shared language is."""
    again: float
    """How long those who were met lately are avoided."""

    def openness(self, wish: Wish, elapsed: float) -> Openness:
        """Return whom a search accepts after so many seconds. A client that told no wish is matched with anybody."""
        changes = self._changes(wish)
        reach = sum(elapsed >= change for change in changes[:2])
        return Openness(reach, elapsed >= changes[2])

    def next(self, wish: Wish, elapsed: float) -> float | None:
        """Return at which second, counted from the beginning, the openness changes next; None: it does not."""
        later = [change for change in self._changes(wish) if elapsed < change < math.inf]
        return min(later) if later else None

    def _changes(self, wish: Wish) -> tuple[float, float, float]:
        """Return when the search reaches LANGUAGE, and ANYONE, and accepts whom the guest has met; infinite: never."""
        asks_language = bool(wish.languages or wish.wants_gender or wish.wants_location)
        if not wish.patient:
            language = anyone = 0.0
        elif wish.only:
            language = math.inf if wish.interests else 0.0
            anyone = math.inf if wish.interests or asks_language else 0.0
        else:
            language = self.interests if wish.interests else 0.0
            anyone = language + (self.language if asks_language else 0.0)
        return language, anyone, self.again if wish.met else 0.0
