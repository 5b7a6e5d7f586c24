"""A room that a member has left, and may bring back for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.live import UNDO

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.chat.events import Resume
    from passerby.clock import Timer
    from passerby.live import LiveGuest, Member


class Parked:
    """A room in which nobody is, until it is open again or over."""

    __slots__ = ("link", "open_log", "room", "timer", "who_left", "who_stays")

    def __init__(self, who_left: Member, open_log: Callable[[], None], timer: Timer) -> None:
        """`open_log` is of `RoomLog.park`. When `timer` fires, the room is over."""
        self.room = who_left.room
        self.who_left = who_left
        self.who_stays = who_left.partner
        self.open_log = open_log
        self.timer = timer
        self.link = who_left.partner.live.link
        """The connection over which the one who stays has got everything."""

    def is_of(self, guest: LiveGuest, resume: Resume) -> bool:
        """Return whether the guest has left it, and it is the one that they want to have back."""
        return guest is self.who_left.live and self.is_named(resume)

    def member(self, guest: LiveGuest) -> Member:
        """Return the member that one of the two was."""
        return self.who_left if guest is self.who_left.live else self.who_stays

    def is_named(self, resume: Resume | None) -> bool:
        """Return whether a client has this room, and says where it is in it."""
        return resume is not None and (resume.room_id, resume.epoch) == (self.room.id, self.room.epoch)

    def can_be_restored(self) -> bool:
        """Return whether both are here, and the one who stays has not moved on."""
        other = self.who_stays.live
        return self.who_left.is_here and can_be_followed(other) and other.ticket is None


def can_be_followed(guest: LiveGuest) -> bool:
    """Return whether somebody can come back to a guest: they are connected, and their client knows what that is."""
    return guest.link is not None and UNDO in guest.features
