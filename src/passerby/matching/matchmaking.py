"""Matchmaking: searches of guests, and pairing.

The queue pairs atomically. Its result is then checked against the connected guests. If one of the two is gone, the
other's ticket returns to the queue at its old position, without notice to the guest.
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
    """Searches of live guests. `find` returns the connected guest with an id; `changed` is called after a change."""

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
        """Search in `queue`, open rooms in `rooms`."""
        self._queue = queue
        self._rooms = rooms
        self._clock = clock
        self._background = background
        self._find = find
        self._changed = changed
        self.waiting = 0
        """Number of live guests who search."""

    async def search(self, guest: LiveGuest) -> None:
        """Start a search. A guest who is already searching is informed again and keeps their position.

        Raises ConflictError (already_in_room).
        """
        if guest.link is None:
            return  # disconnected while the request was waiting
        if guest.member is not None:
            raise ConflictError(Code.ALREADY_IN_ROOM, "You are in a conversation; leave it to find someone new")
        guest.notice = None  # the client knows that the previous room has ended
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
        """The guest lost the connection: stop matching them, but keep their position."""
        ticket = guest.ticket
        if ticket is not None:
            guest.suspended = ticket
            self._set(guest, None)
            self._background.start("withdrawal of a ticket", self._withdraw(ticket))

    def restore(self, guest: LiveGuest) -> None:
        """The guest has reconnected: continue a suspended search at its old position."""
        suspended, guest.suspended = guest.suspended, None
        if guest.ticket is not None:
            guest.send(_SEARCHING)  # the connection was replaced before its loss was detected
        if suspended is None or guest.ticket is not None or guest.member is not None:
            return
        # A new id, so that a pending withdrawal of the old ticket does not remove this one.
        ticket = Ticket(ids.ticket_id(), suspended.guest_id, suspended.entered_at)
        self._set(guest, ticket)
        guest.send(_SEARCHING)
        self._background.start("return to a search", self._enter(guest, ticket))

    async def _enter(self, guest: LiveGuest, ticket: Ticket) -> None:
        """Enter the queue until a connected partner is found or the queue is empty; also for a guest paired in vain."""
        seeker = guest
        while True:
            try:
                found = await self._queue.enter(ticket)
            except Exception as error:  # noqa: BLE001 - after any error the search must end, not wait forever
                self._background.failed("entering the queue", error)
                if guest.ticket == ticket:
                    self._give_up(guest)
                await self._withdraw(ticket)  # the queue may still have accepted it
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
                # Paired with a guest who is gone: enter again at the old position.
                guest, ticket = partner, found

    def _meet(self, guest: LiveGuest, partner: LiveGuest) -> None:
        """Open a room for two guests whose tickets the queue has paired."""
        self._set(guest, None)
        self._set(partner, None)
        try:
            self._rooms.open(guest, partner)
        except Exception as error:  # noqa: BLE001 - after any error both searches end and both are informed
            self._background.failed("opening of a room", error)
            self._give_up(guest)
            self._give_up(partner)

    def _give_up(self, guest: LiveGuest) -> None:
        """End a search that failed; inform the guest, who may start another."""
        if guest.ticket is not None:
            self._set(guest, None)
        error = InternalError()
        guest.send(MatchError(message=error.message, code=error.code))

    async def _withdraw(self, ticket: Ticket) -> None:
        """Remove the ticket of an ended or suspended search from the queue.

        If that fails, the ticket stays in the queue but is ignored, because no guest holds it.
        """
        try:
            await self._queue.cancel(ticket)
        except Exception as error:  # noqa: BLE001 - see above
            self._background.failed("withdrawal of a ticket", error)

    def _searching(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest who holds `ticket` and is still searching with it."""
        guest = self._find(ticket.guest_id)
        return guest if guest is not None and guest.ticket == ticket else None

    def _set(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        self.waiting += (ticket is not None) - (guest.ticket is not None)
        guest.ticket = ticket
        guest.guest.is_searching = ticket is not None
        self._changed(guest)
