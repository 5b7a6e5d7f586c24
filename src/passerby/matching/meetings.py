"""Who has met whom: so that nobody meets the same again soon, and some never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.live import RoomObserver
from passerby.models import Meeting

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.live import Room
    from passerby.models import Guest

NEVER: Final = 200
"""How many are kept whom a guest never meets again; beyond that the oldest are dropped. They are part of each search,
so they must be few. A pair is kept apart as long as one of the two has the other."""


class Meetings(RoomObserver):
    """Keeps in each guest's session whom they have met lately. Whoever owns the room saves the session."""

    def __init__(self, clock: Clock, *, limit: int, seconds: float) -> None:
        """`limit` partners are remembered, for so many seconds after the conversation."""
        self._clock = clock
        self._limit = limit
        self._seconds = seconds

    def room_opened(self, room: Room) -> None:
        """See RoomObserver. Noted at once: the process may die before the conversation ends."""
        self._note(room)

    def room_parked(self, room: Room) -> None:
        """See RoomObserver."""
        self._note(room)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver."""
        self._note(room)

    def met(self, guest: Guest) -> tuple[str, ...]:
        """Return whom a guest has met lately, the latest last."""
        if not guest.met:
            return ()
        since = self._clock.time() - self._seconds
        return tuple(meeting.guest_id for meeting in guest.met if meeting.at > since)

    def never_again(self, one: Guest, other: Guest) -> None:
        """The two must not meet as long as one of their sessions lasts, or one in its place. The caller saves both.

        Each has the other, by what does not change from session to session: so it is enough that one of them still
        has it, whoever of them has a new session, or both.
        """
        self.avoid(one, other.root)
        self.avoid(other, one.root)

    @staticmethod
    def avoid(guest: Guest, root: str) -> None:
        """Do so for one guest alone: `root` is the partner's, who may be anywhere. The caller saves the guest."""
        earlier = [never for never in guest.never if never != root]
        guest.never = [*earlier, root][-NEVER:]

    def _note(self, room: Room) -> None:
        if not self._limit:
            return
        one, other = (member.guest for member in room.members)
        now = self._clock.time()
        for guest, partner in ((one, other.id), (other, one.id)):
            earlier = [meeting for meeting in guest.met if meeting.guest_id != partner]
            guest.met = [*earlier, Meeting(partner, now)][-self._limit :]
