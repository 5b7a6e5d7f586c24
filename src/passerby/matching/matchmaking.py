"""Matchmaking: who searches, and how two who do meet.

The queue pairs atomically. What it returns is checked once more against who is here: whoever turns out
to be gone is dropped, and the other one's ticket goes back with its place, unnoticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby import ids
from passerby.errors import Code, ConflictError
from passerby.matching.events import MatchCancelled, MatchNoUsers, MatchSearching
from passerby.models import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.live import LiveGuest
    from passerby.matching.queue import MatchQueue

_SEARCHING = MatchSearching(message="Looking for someone to talk to")
_NOBODY = MatchNoUsers(message="Nobody else is waiting right now; the search goes on")
_CANCELLED = MatchCancelled(message="The search has ended")


class Matchmaking:
    """Searches of live guests. `find` tells the connected guest of an id, `changed` is called for a changed one."""

    def __init__(
        self,
        queue: MatchQueue,
        rooms: Rooms,
        clock: Clock,
        *,
        find: Callable[[str], LiveGuest | None],
        changed: Callable[[LiveGuest], None],
    ) -> None:
        """Search in `queue`, meet in `rooms`."""
        self._queue = queue
        self._rooms = rooms
        self._clock = clock
        self._find = find
        self._changed = changed
        self.waiting = 0
        """Live guests who search."""

    async def search(self, guest: LiveGuest) -> None:
        """Begin to search; a guest who does so already is told so again, and keeps the place.

        Raises ConflictError (already_in_room).
        """
        if guest.link is None:
            return  # gone while the request waited its turn
        if guest.member is not None:
            raise ConflictError(Code.ALREADY_IN_ROOM, "You are in a conversation; leave it to find someone new")
        guest.notice = None  # they know that the room before is over
        if guest.ticket is not None:
            guest.send(_SEARCHING)
            return
        ticket = Ticket(ids.ticket_id(), guest.guest.id, self._clock.time())
        self._set(guest, ticket)
        guest.send(_SEARCHING)
        await self.enter(guest, ticket)

    async def cancel(self, guest: LiveGuest) -> None:
        """Stop searching. Raises ConflictError (not_searching)."""
        ticket = guest.ticket
        if ticket is None:
            raise ConflictError(Code.NOT_SEARCHING, "You are not searching")
        self._set(guest, None)
        guest.send(_CANCELLED)
        await self._queue.cancel(ticket)

    def suspend(self, guest: LiveGuest) -> Ticket | None:
        """The guest lost the connection: nobody is to meet them, but their place is kept.

        Return the ticket that is to be withdrawn, if they were searching.
        """
        ticket = guest.ticket
        if ticket is not None:
            guest.suspended = ticket
            self._set(guest, None)
        return ticket

    async def withdraw(self, ticket: Ticket) -> None:
        """Take the ticket of a search that is over, or suspended, out of the queue."""
        await self._queue.cancel(ticket)

    def restore(self, guest: LiveGuest) -> Ticket | None:
        """The guest is back: a suspended search goes on. Return the ticket to enter, at the place of the old one."""
        suspended, guest.suspended = guest.suspended, None
        if guest.ticket is not None:
            guest.send(_SEARCHING)  # the connection was replaced before its loss was noticed
        if suspended is None or guest.ticket is not None or guest.member is not None:
            return None
        # A new id, so that a withdrawal of the old ticket still on its way cannot hit this one.
        ticket = Ticket(ids.ticket_id(), suspended.guest_id, suspended.entered_at)
        self._set(guest, ticket)
        guest.send(_SEARCHING)
        return ticket

    async def enter(self, guest: LiveGuest, ticket: Ticket) -> None:
        """Enter until there is a partner who is really there, or nobody; then also for whoever was taken in vain."""
        seeker = guest
        while True:
            found = await self._queue.enter(ticket)
            here = guest.ticket == ticket
            if found is None:
                if here and guest is seeker:
                    guest.send(_NOBODY)
                elif not here:
                    await self._queue.cancel(ticket)
                return
            partner = self._searching(found)
            if here and partner is not None:
                self._set(guest, None)
                self._set(partner, None)
                self._rooms.open(guest, partner)
                return
            if not here:
                if partner is None:
                    return
                # Taken by somebody who is gone: back they go, at their place.
                guest, ticket = partner, found

    def _searching(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest whose ticket it is, if they still wait for a match with it."""
        guest = self._find(ticket.guest_id)
        return guest if guest is not None and guest.ticket == ticket else None

    def _set(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        self.waiting += (ticket is not None) - (guest.ticket is not None)
        guest.ticket = ticket
        guest.guest.is_searching = ticket is not None
        self._changed(guest)
