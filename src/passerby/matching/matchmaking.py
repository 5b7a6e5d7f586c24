"""Matchmaking: who searches, and how two who do meet.

The queue pairs atomically. What it returns is checked once more against who is here: whoever turns out
to be gone is dropped, and the other one's ticket goes back with its place, unnoticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby import ids
from passerby.errors import Code, ConflictError, InternalError
from passerby.matching.events import MatchCancelled, MatchError, MatchNoUsers, MatchSearching
from passerby.models import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock, Timer
    from passerby.live import LiveGuest
    from passerby.matching.queue import MatchQueue

_RECOVERY_PAUSE: Final = 1.0
"""Seconds from a failure of the queue until all who search enter again."""
_SEARCHING = MatchSearching(message="Looking for someone to talk to")
_NOBODY = MatchNoUsers(message="Nobody else is waiting right now; the search goes on")
_CANCELLED = MatchCancelled(message="The search has ended")


class Matchmaking:
    """Searches of live guests. `changed` is called for a guest whose search has begun or ended."""

    def __init__(
        self,
        queue: MatchQueue,
        rooms: Rooms,
        clock: Clock,
        background: Background,
        *,
        changed: Callable[[LiveGuest], None],
    ) -> None:
        """Search in `queue`, meet in `rooms`."""
        self._queue = queue
        self._rooms = rooms
        self._clock = clock
        self._background = background
        self._changed = changed
        self._seekers: dict[str, LiveGuest] = {}
        """The guests who hold a ticket, by their ids."""
        self._recovery: Timer | None = None

    @property
    def waiting(self) -> int:
        """Return how many guests search."""
        return len(self._seekers)

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
        if not await self._enter(guest, ticket) and self._holds(guest, ticket):
            self._give_up(guest)

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
        self._background.start("return to a search", self._return(guest, ticket))

    async def _return(self, guest: LiveGuest, ticket: Ticket) -> None:
        await self._enter(guest, ticket)

    async def _enter(self, guest: LiveGuest, ticket: Ticket) -> bool:
        """Enter until there is a partner who is really there, or nobody; then also for whoever was taken in vain.

        Return False when the queue has failed. Then it may hold the ticket or not, and may have given out another one
        that nobody has got: all who search enter again, a little later.
        """
        seeker = guest
        while True:
            try:
                found = await self._queue.enter(ticket)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for what cannot come
                self._background.failed("entering the queue", error)
                self._recover()
                return False
            here = self._holds(guest, ticket)
            if found is None:
                if here and guest is seeker:
                    guest.send(_NOBODY)
                elif not here:
                    await self._withdraw(ticket)
                return True
            partner = self._searching(found)
            if here and partner is not None:
                self._meet(guest, partner)
                return True
            if not here:
                if partner is None:
                    return True
                # Taken by somebody who is gone: back they go, at their place.
                guest, ticket = partner, found

    def _recover(self) -> None:
        """Let all who search enter again, a little later: the queue has failed."""
        if self._recovery is None:
            self._recovery = self._background.call_later("recovery of the queue", _RECOVERY_PAUSE, self._begin_again)

    def _begin_again(self) -> None:
        self._recovery = None
        self._background.start("recovery of the queue", self._enter_again())

    async def _enter_again(self) -> None:
        for guest in list(self._seekers.values()):
            if guest.ticket is not None and not await self._enter(guest, guest.ticket):
                return  # and so it begins again

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

    @staticmethod
    def _holds(guest: LiveGuest, ticket: Ticket) -> bool:
        return guest.ticket == ticket

    def _searching(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest whose ticket it is, if they still wait for a match with it."""
        guest = self._seekers.get(ticket.guest_id)
        return guest if guest is not None and self._holds(guest, ticket) else None

    def _set(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        if ticket is None:
            self._seekers.pop(guest.guest.id, None)
        else:
            self._seekers[guest.guest.id] = guest
        guest.ticket = ticket
        guest.guest.is_searching = ticket is not None
        self._changed(guest)
