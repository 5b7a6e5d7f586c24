"""Guests whom many partners leave within seconds: they wait before they search again, and a case is opened."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from passerby.errors import RateLimitedError
from passerby.live import RoomObserver
from passerby.safety.repeats import nobody_looks

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.live import LiveGuest, Member, Room
    from passerby.models import Guest
    from passerby.safety.repeats import Notice

SOON: Final = 5.0
"""Seconds after the match in which who leaves has not talked, but seen."""
FEW: Final = 3
"""Messages of both after which they have talked, however fast."""
PAUSE: Final = 5.0
"""Seconds until the next search after too many have left in a row; so many more after each further one."""
LONGEST_PAUSE: Final = 30.0
"""Seconds until the next search at most."""
_NOTICE_PAUSE: Final = 3600.0
"""Seconds between two cases about the same guest."""
_MOST: Final = 20_000
"""Guests whose rows are known; who was left least recently is forgotten first."""


class _Row:
    """How many in a row have left a guest at once."""

    __slots__ = ("count", "free_at", "noticed_at", "room")

    def __init__(self) -> None:
        self.count = 0
        self.free_at = 0.0
        """When the guest may search again (monotonic seconds)."""
        self.noticed_at: float | None = None
        self.room: Room | None = None
        """The last one, while who left may come back."""


class Skips(RoomObserver):
    """Counts by device, or by the first session of a browser. Nothing is shared with other nodes.

    Who is only unlucky is soon met by somebody who stays longer: then the row begins anew.
    """

    def __init__(self, clock: Clock, *, partners: int, notice: Notice = nobody_looks) -> None:
        """So many `partners` in a row are too many; 0: any number. `notice` is called for whom they have left."""
        self._monotonic = clock.monotonic
        self._partners = partners
        self.notice = notice
        self._opened: dict[Room, float] = {}
        self._rows: OrderedDict[str, _Row] = OrderedDict()

    @property
    def observers(self) -> tuple[RoomObserver, ...]:
        """Return what has to observe rooms: nothing if any number of partners may leave."""
        return (self,) if self._partners else ()

    def check(self, guest: LiveGuest) -> None:
        """Let a search begin. Raises RateLimitedError."""
        row = self._rows.get(_key(guest.guest))
        wait = 0.0 if row is None else row.free_at - self._monotonic()
        if wait > 0:
            raise RateLimitedError(wait, "searches that end at once", limit="skips")

    def room_opened(self, room: Room) -> None:
        """See RoomObserver."""
        self._opened[room] = self._monotonic()

    def member_leaves(self, member: Member) -> None:
        """See RoomObserver."""
        room = member.room
        opened = self._opened.pop(room, None)
        if opened is None:
            return
        if self._monotonic() - opened > SOON:
            self._reset(room)
        elif room.seq <= FEW:
            self._count(member.partner)

    def room_restored(self, room: Room) -> None:
        """See RoomObserver. Whoever has left is back."""
        for member in room.members:
            row = self._rows.get(_key(member.guest))
            if row is not None and row.room is room:
                row.count -= 1
                row.free_at = 0.0
                row.room = None

    def room_lost(self, room: Room) -> None:
        """See RoomObserver."""
        self._opened.pop(room, None)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. If nobody has left it, the connection of a member was lost."""
        opened = self._opened.pop(room, None)
        if opened is not None and self._monotonic() - opened > SOON:
            self._reset(room)
        for member in room.members:
            row = self._rows.get(_key(member.guest))
            if row is not None and row.room is room:
                row.room = None

    def _reset(self, room: Room) -> None:
        for member in room.members:
            row = self._rows.get(_key(member.guest))
            if row is not None:
                row.count = 0

    def _count(self, member: Member) -> None:
        key, now = _key(member.guest), self._monotonic()
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= _MOST:
                self._rows.popitem(last=False)
            row = self._rows[key] = _Row()
        else:
            self._rows.move_to_end(key)
        row.count += 1
        row.room = member.room
        if row.count < self._partners:
            return
        row.free_at = now + min(LONGEST_PAUSE, PAUSE * (row.count - self._partners + 1))
        if row.noticed_at is None or now - row.noticed_at >= _NOTICE_PAUSE:
            row.noticed_at = now
            self.notice(member.live, "skips", "other")


def _key(guest: Guest) -> str:
    return guest.device or guest.root
