"""One search of a guest, and what has come of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passerby.matching.simulation.guests import Character, Common, Turn


class Search:
    """A search. Times are in seconds of the simulated clock."""

    __slots__ = (
        *("began", "common", "ended", "guest", "is_repeat", "met", "number"),
        *("beside", "partner", "talked", "turn"),
    )

    def __init__(self, guest: Character, number: int, began: float, met: dict[str, float]) -> None:
        self.guest = guest
        self.number = number
        """How many searches of the guest were before."""
        self.turn: Turn = guest.turns[number]
        self.began = began
        self.met = met
        """Whom the guest has met in the half hour before, and when they parted, the latest last."""
        self.ended = math.inf
        self.partner: Search | None = None
        """The search with which it has met; None: it was given up."""
        self.common: Common | None = None
        self.talked = 0.0
        """Seconds of the conversation."""
        self.is_repeat = False
        """Whether the two have met in the half hour before."""
        self.beside = 0.0
        """If so: for how long somebody else had waited, whom one of them had not met; 0: there was nobody."""

    @property
    def is_over(self) -> bool:
        """Return whether the guest does not search any more."""
        return self.ended < math.inf

    @property
    def waited(self) -> float:
        """Return for how many seconds the guest has searched."""
        return self.ended - self.began
