"""Matchmaking: who searches, and how two who do meet.

The queue pairs atomically. What it returns is checked once more against who is here: whoever turns out
to be gone is dropped, and the other one's ticket goes back with its place, unnoticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby import ids
from passerby.errors import Code, ConflictError, InternalError
from passerby.matching.events import MatchCancelled, MatchError, MatchNoUsers, MatchSearching
from passerby.models import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
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
        background: Background,
        *,
        find: Callable[[str], LiveGuest | None],
        changed: Callable[[LiveGuest], None],
    ) -> None:
        """Search in `queue`, meet in `rooms`."""
        self._queue = queue
        self._rooms = rooms
        self._clock = clock
        self._background = background
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
        await self._enter(guest, ticket)

    async def cancel(self, guest: LiveGuest) -> None:
        """Stop searching. Raises ConflictError (not_searching)."""
        ticket = guest.ticket
        if ticket is None:
            raise ConflictError(Code.NOT_SEARCHING, "You are not searching")
        self._set(guest, None)
        guest.send(_CANCELLED)
        await self._withdraw(ticket)

    def suspend(self, guest: LiveGuest) -> None:
        """The guest lost the connection: nobody is to meet them, but their place is kept."""
        ticket = guest.ticket
        if ticket is not None:
            guest.suspended = ticket
            self._set(guest, None)
            self._background.start("withdrawal of a ticket", self._withdraw(ticket))

    def restore(self, guest: LiveGuest) -> None:
        """The guest is back: a suspended search goes on, at the place of the old one."""
        suspended, guest.suspended = guest.suspended, None
        if guest.ticket is not None:
            guest.send(_SEARCHING)  # the connection was replaced before its loss was noticed
        if suspended is None or guest.ticket is not None or guest.member is not None:
            return
        # A new id, so that a withdrawal of the old ticket still on its way cannot hit this one.
        ticket = Ticket(ids.ticket_id(), suspended.guest_id, suspended.entered_at)
        self._set(guest, ticket)
        guest.send(_SEARCHING)
        self._background.start("return to a search", self._enter(guest, ticket))

    async def _enter(self, guest: LiveGuest, ticket: Ticket) -> None:
        """Enter until there is a partner who is really there, or nobody; then also for whoever was taken in vain."""
        seeker = guest
        while True:
            try:
                found = await self._queue.enter(ticket)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for what cannot come
                self._background.failed("entering the queue", error)
                if guest.ticket == ticket:
                    self._give_up(guest)
                await self._withdraw(ticket)  # the queue may have taken it all the same
                return
            here = guest.ticket == ticket
            if found is None:
                if here and guest is seeker:
                    guest.send(_NOBODY)
                elif not here:
                    await self._withdraw(ticket)
                return
            partner = self._searching(found)
            if here and partner is not None:
                self._meet(guest, partner)
                return
            if not here:
                if partner is None:
                    return
                # Taken by somebody who is gone: back they go, at their place.
                guest, ticket = partner, found

    def _meet(self, guest: LiveGuest, partner: LiveGuest) -> None:
        """Put two whose tickets the queue has given out into a room."""
        self._set(guest, None)
        self._set(partner, None)
        try:
            self._rooms.open(guest, partner)
        except Exception as error:  # noqa: BLE001 - whatever it is, both searches are over and both must know
            self._background.failed("opening of a room", error)
            self._give_up(guest)
            self._give_up(partner)

    def _give_up(self, guest: LiveGuest) -> None:
        """The search cannot go on: the guest learns of it, and may begin another."""
        if guest.ticket is not None:
            self._set(guest, None)
        error = InternalError()
        guest.send(MatchError(message=error.message, code=error.code))

    async def _withdraw(self, ticket: Ticket) -> None:
        """Take the ticket of a search that is over, or suspended, out of the queue.

        Should that fail, the ticket is worth nothing all the same, as no guest holds it.
        """
        try:
            await self._queue.cancel(ticket)
        except Exception as error:  # noqa: BLE001 - see above
            self._background.failed("withdrawal of a ticket", error)

    def _searching(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest whose ticket it is, if they still wait for a match with it."""
        guest = self._find(ticket.guest_id)
        return guest if guest is not None and guest.ticket == ticket else None

    def _set(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        self.waiting += (ticket is not None) - (guest.ticket is not None)
        guest.ticket = ticket
        guest.guest.is_searching = ticket is not None
        self._changed(guest)
