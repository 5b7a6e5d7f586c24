"""The queue in this process's memory."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.clock import Clock
    from passerby.models import Ticket


class MemoryMatchQueue:
    """Keeps the tickets in a list. Each operation takes O(1).

    A random ticket is at a random place of the list. When a ticket is removed, the last one takes its place.
    """

    is_durable = False

    def __init__(self, clock: Clock, choose: random.Random | None = None) -> None:
        """`choose` picks the tickets. Without it, the system's random source does."""
        self._clock = clock
        self._choose = choose or random.SystemRandom()
        self._tickets: list[Ticket] = []
        self._places: dict[str, int] = {}
        self._suspended: dict[str, tuple[Ticket, float]] = {}
        """Suspended tickets by guest, each with the time until it can be recalled (monotonic seconds)."""

    async def enter(self, ticket: Ticket, patience: float = 0.0) -> Ticket | None:  # noqa: ARG002 - as in MatchQueue
        """See MatchQueue. There is one node."""
        self.discard(ticket.guest_id)
        if not self._tickets:
            self._places[ticket.guest_id] = 0
            self._tickets.append(ticket)
            return None
        count = len(self._tickets)
        found = self._tickets[self._choose.randrange(count) if count > 1 else 0]  # a draw is a system call or two
        self.discard(found.guest_id)
        return found

    async def look(self, ticket: Ticket) -> Ticket | None:  # noqa: ARG002 - as in MatchQueue
        """See MatchQueue. Whoever could be found was found."""
        return None

    async def cancel(self, ticket: Ticket) -> bool:
        """See MatchQueue."""
        return self.remove(ticket)

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        """See MatchQueue."""
        place = self._places.get(ticket.guest_id)
        if place is not None and not self.remove(ticket):
            return  # the guest has a newer one
        now = self._clock.monotonic()
        while self._suspended and next(iter(self._suspended.values()))[1] <= now:
            del self._suspended[next(iter(self._suspended))]
        self._suspended.pop(ticket.guest_id, None)  # so that the oldest is first
        self._suspended[ticket.guest_id] = ticket, now + seconds

    async def recall(self, guest_id: str) -> Ticket | None:
        """See MatchQueue."""
        place = self._places.get(guest_id)
        if place is not None:
            return self._tickets[place]
        ticket, until = self._suspended.get(guest_id, (None, 0.0))
        return ticket if until > self._clock.monotonic() else None

    def forget(self, *tickets: Ticket) -> None:
        """See MatchQueue. Nothing is left of a ticket that was returned."""

    def release(self, ticket: Ticket) -> None:
        """See MatchQueue. No other process can have the search."""

    async def renew(self, tickets: Iterable[Ticket]) -> list[Ticket]:  # noqa: ARG002 - as in MatchQueue
        """See MatchQueue. Nothing is ever lost."""
        return []

    async def size(self) -> int:
        """See MatchQueue."""
        return len(self._tickets)

    # ── for an adapter whose fallback this is ─────────────────────────────────────────────────────

    def add(self, ticket: Ticket) -> None:
        """Let a ticket wait without looking for a partner."""
        self.discard(ticket.guest_id)
        self._places[ticket.guest_id] = len(self._tickets)
        self._tickets.append(ticket)

    def take(self, ticket: Ticket) -> bool:
        """Remove a ticket that waits; return whether it did. A suspended one stays."""
        place = self._places.get(ticket.guest_id)
        if place is None or self._tickets[place].id != ticket.id:
            return False
        self.discard(ticket.guest_id)
        return True

    def remove(self, ticket: Ticket) -> bool:
        """Remove a ticket, waiting or suspended; return whether it has waited."""
        if self.take(ticket):
            return True
        suspended = self._suspended.get(ticket.guest_id)
        if suspended is not None and suspended[0].id == ticket.id:
            del self._suspended[ticket.guest_id]
        return False

    def discard(self, guest_id: str) -> None:
        """Remove the guest's ticket, whichever it is."""
        if self._suspended:
            self._suspended.pop(guest_id, None)
        place = self._places.pop(guest_id, None)
        if place is None:
            return
        last = self._tickets.pop()
        if place < len(self._tickets):
            self._tickets[place] = last
            self._places[last.guest_id] = place

    def waiting(self) -> list[Ticket]:
        """Return the tickets that wait."""
        return list(self._tickets)

    def suspended(self) -> list[tuple[Ticket, float]]:
        """Return the suspended tickets, each with the seconds (> 0) that it can still be recalled."""
        now = self._clock.monotonic()
        return [(ticket, until - now) for ticket, until in self._suspended.values() if until > now]

    async def check(self) -> None:
        """See MatchQueue."""

    async def close(self) -> None:
        """See MatchQueue."""
        self._tickets.clear()
        self._places.clear()
        self._suspended.clear()
