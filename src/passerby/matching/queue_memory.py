"""The queue in this process's memory."""

from __future__ import annotations

import random

from passerby.models import Ticket


class MemoryMatchQueue:
    """Keeps the tickets in a list. Each operation takes O(1).

    A random ticket is at a random place of the list. When a ticket is removed, the last one takes its place.
    """

    def __init__(self, choose: random.Random | None = None) -> None:
        """`choose` picks the tickets. Without it, the system's random source does."""
        self._choose = choose or random.SystemRandom()
        self._tickets: list[Ticket] = []
        self._places: dict[str, int] = {}

    async def enter(self, ticket: Ticket) -> Ticket | None:
        """See MatchQueue."""
        self._remove(ticket.guest_id)
        if not self._tickets:
            self._places[ticket.guest_id] = 0
            self._tickets.append(ticket)
            return None
        count = len(self._tickets)
        found = self._tickets[self._choose.randrange(count) if count > 1 else 0]  # a draw is a system call or two
        self._remove(found.guest_id)
        return found

    async def cancel(self, ticket: Ticket) -> bool:
        """See MatchQueue."""
        place = self._places.get(ticket.guest_id)
        if place is None or self._tickets[place].id != ticket.id:
            return False
        self._remove(ticket.guest_id)
        return True

    async def size(self) -> int:
        """See MatchQueue."""
        return len(self._tickets)

    def _remove(self, guest_id: str) -> None:
        place = self._places.pop(guest_id, None)
        if place is None:
            return
        last = self._tickets.pop()
        if place < len(self._tickets):
            self._tickets[place] = last
            self._places[last.guest_id] = place

    async def check(self) -> None:
        """See MatchQueue."""

    async def close(self) -> None:
        """See MatchQueue."""
        self._tickets.clear()
        self._places.clear()
