"""How many conversations there were, how long they took, and how many messages were said in them.

A message costs nothing here: the room numbers its messages anyway, and the numbers are added up when somebody asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.live import RoomObserver
from passerby.measures import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from passerby.clock import Clock
    from passerby.live import Room

_LENGTHS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""Bounds of the histogram in seconds: from those who leave at a glance to those who talk for an evening."""


class Conversations(RoomObserver):
    """The conversations of this process."""

    def __init__(self, clock: Clock) -> None:
        """Nobody has talked yet."""
        self._clock = clock
        self._said = 0
        """Messages in rooms that have ended."""
        self._rooms: dict[Room, int] = {}
        """The open rooms and the parked ones, each with how many messages it had when it came here."""
        self._left: dict[Room, float] = {}
        """When the parked ones were left; seconds since the Unix epoch."""
        self.begun = 0
        """Conversations that have begun here."""
        self.lengths = Histogram(_LENGTHS)
        """How long those took that have ended here, in seconds."""

    @property
    def messages(self) -> int:
        """Return how many messages were taken here."""
        return self._said + sum(room.seq - before for room, before in self._rooms.items())

    def room_opened(self, room: Room) -> None:
        """See RoomObserver."""
        self.begun += 1
        self._rooms[room] = 0

    def room_recalled(self, room: Room, notes: Mapping[str, bytes]) -> None:  # noqa: ARG002 - as in RoomObserver
        """See RoomObserver."""
        self._rooms[room] = room.seq

    def room_parked(self, room: Room) -> None:
        """See RoomObserver."""
        self._left[room] = self._clock.time()

    def room_restored(self, room: Room) -> None:
        """See RoomObserver."""
        self._left.pop(room, None)

    def room_lost(self, room: Room) -> None:
        """See RoomObserver. It goes on elsewhere."""
        self._forget(room)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver."""
        ended = self._left.get(room) or self._clock.time()
        if self._forget(room):
            self.lengths.add(max(0.0, ended - room.epoch / 1000))  # an epoch is when the room began, in milliseconds

    def _forget(self, room: Room) -> bool:
        """Return whether the room was known."""
        self._left.pop(room, None)
        before = self._rooms.pop(room, None)
        if before is None:
            return False
        self._said += room.seq - before
        return True
