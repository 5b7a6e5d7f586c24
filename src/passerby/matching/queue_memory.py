"""The queue in this process's memory."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import TYPE_CHECKING

from sortedcontainers import SortedList

from passerby.matching.places import EXAMINED, FAIR, Tier, everybody, may_meet, position, stands, tiers
from passerby.matching.stages import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from passerby.clock import Clock
    from passerby.matching.stages import Openness
    from passerby.models import Ticket


class _Waiting:
    """A ticket that waits."""

    __slots__ = ("entry", "openness", "places", "ticket")

    def __init__(self, ticket: Ticket, openness: Openness) -> None:
        self.ticket = ticket
        self.entry = position(ticket), ticket.guest_id
        """As it stands in its places."""
        self.openness = openness
        self.places: list[str] = []
        """None before somebody looks for a partner."""


class MemoryMatchQueue:
    """Keeps sorted lists: one for each place in which a ticket waits. An operation takes O(log n) of what waits."""

    is_durable = False

    def __init__(self, clock: Clock, fair: float = FAIR) -> None:
        """`fair` is in seconds, see `places.tiers`."""
        self._clock = clock
        self._fair = fair
        self._waiting: dict[str, _Waiting] = {}
        """By guest."""
        self._new: dict[str, _Waiting] = {}
        """Those that stand in no place yet: that is put off, because many are gone before anybody looks."""
        self._places: dict[str, SortedList[tuple[float, str]]] = {}
        self._suspended: dict[str, tuple[Ticket, float]] = {}
        """Suspended tickets by guest, each with the time until it can be recalled (monotonic seconds)."""

    async def enter(self, ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:  # noqa: ARG002 - as in MatchQueue
        """See MatchQueue. There is one node."""
        self.discard(ticket.guest_id)
        found = self._find(ticket, openness)
        if found is not None:
            self.discard(found.guest_id)
        else:
            self.add(ticket, openness)
        return found

    async def look(self, ticket: Ticket, openness: Openness = OPEN) -> Ticket | None:
        """See MatchQueue."""
        waiting = self._waiting.get(ticket.guest_id)
        if waiting is None or waiting.ticket.id != ticket.id:
            return None
        return await self.enter(ticket, openness)

    def _find(self, ticket: Ticket, openness: Openness) -> Ticket | None:
        """Return the best ticket for `ticket`, which does not wait."""
        self._place_new()
        again = None
        for tier in tiers(ticket.wish, openness, self._fair):
            for other in islice(self._of(tier), EXAMINED):
                if may_meet(ticket, other.ticket, again=False):
                    return other.ticket
                if again is None and openness.again and other.openness.again:
                    again = other.ticket if may_meet(ticket, other.ticket, again=True) else None
        return again if again is None or self._is_alone(ticket, again) else None

    def _is_alone(self, one: Ticket, other: Ticket) -> bool:
        """Return whether nobody waits whom one of the two has not met lately."""
        others = islice(self._of(Tier(everybody(one.wish))), EXAMINED)
        return not any(
            may_meet(each.ticket, one, again=False) or may_meet(each.ticket, other, again=False)
            for each in others
            if each.ticket.guest_id not in (one.guest_id, other.guest_id)
        )

    def _place_new(self) -> None:
        new, self._new = self._new, {}
        for waiting in new.values():
            wish = waiting.ticket.wish
            waiting.places = [*stands(wish, waiting.openness), *everybody(wish)]
            for name in waiting.places:
                found = self._places.get(name)
                if found is None:
                    found = self._places[name] = SortedList()
                found.add(waiting.entry)

    def _of(self, tier: Tier) -> Iterator[_Waiting]:
        """Yield those of a tier, the longest waiting first."""
        lists = [found for name in tier.places if (found := self._places.get(name)) is not None]
        entries = heapq.merge(*lists) if len(lists) > 1 else iter(lists[0]) if lists else iter(())
        latest = (self._clock.time() - tier.age) * 1000 if tier.age else float("inf")
        last = ""
        for place, guest_id in entries:
            if place > latest:
                return
            if guest_id != last:  # the same one stands in several lists, and comes out of them one after the other
                last = guest_id
                yield self._waiting[guest_id]

    async def cancel(self, ticket: Ticket) -> bool:
        """See MatchQueue."""
        return self.remove(ticket)

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        """See MatchQueue."""
        if ticket.guest_id in self._waiting and not self.remove(ticket):
            return  # the guest has a newer one
        now = self._clock.monotonic()
        while self._suspended and next(iter(self._suspended.values()))[1] <= now:
            del self._suspended[next(iter(self._suspended))]
        self._suspended.pop(ticket.guest_id, None)  # so that the oldest is first
        self._suspended[ticket.guest_id] = ticket, now + seconds

    async def recall(self, guest_id: str) -> Ticket | None:
        """See MatchQueue."""
        waiting = self._waiting.get(guest_id)
        if waiting is not None:
            return waiting.ticket
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
        return len(self._waiting)

    # ── for an adapter whose fallback this is ─────────────────────────────────────────────────────

    def add(self, ticket: Ticket, openness: Openness = OPEN) -> None:
        """Let a ticket wait without looking for a partner."""
        self.discard(ticket.guest_id)
        self._waiting[ticket.guest_id] = self._new[ticket.guest_id] = _Waiting(ticket, openness)

    def take(self, ticket: Ticket) -> bool:
        """Remove a ticket that waits; return whether it did. A suspended one stays."""
        waiting = self._waiting.get(ticket.guest_id)
        if waiting is None or waiting.ticket.id != ticket.id:
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
        waiting = self._waiting.pop(guest_id, None)
        if waiting is None or self._new.pop(guest_id, None) is not None:
            return
        for name in waiting.places:
            found = self._places[name]
            found.remove(waiting.entry)
            if not found:
                del self._places[name]

    def waiting(self) -> list[Ticket]:
        """Return the tickets that wait."""
        return [waiting.ticket for waiting in self._waiting.values()]

    def suspended(self) -> list[tuple[Ticket, float]]:
        """Return the suspended tickets, each with the seconds (> 0) that it can still be recalled."""
        now = self._clock.monotonic()
        return [(ticket, until - now) for ticket, until in self._suspended.values() if until > now]

    async def check(self) -> None:
        """See MatchQueue."""

    async def close(self) -> None:
        """See MatchQueue."""
        self._waiting.clear()
        self._new.clear()
        self._places.clear()
        self._suspended.clear()
