"""Ways to match guests. All keep the modes apart: nobody who wants to see somebody meets one who only writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from passerby.models import Ticket, Wish

if TYPE_CHECKING:
    import random
    from collections.abc import Coroutine

    from passerby.matching.queue import MatchQueue
    from passerby.matching.simulation.search import Search
    from passerby.matching.stages import Steps

T = TypeVar("T")


class Policy(ABC):
    """A way to match guests. It keeps the searches that wait."""

    def __init__(self, name: str) -> None:
        """`name` is for the reader."""
        self.name = name

    @abstractmethod
    def enter(self, search: Search) -> Search | None:
        """Begin a search: return one that has waited and waits no longer, or let this one wait and return None."""

    @abstractmethod
    def leave(self, search: Search) -> None:
        """A search that waits is given up."""

    def look(self, search: Search, elapsed: float) -> Search | None:  # noqa: ARG002 - most look only once
        """Look once more, `elapsed` seconds after the search began: as `enter` does."""
        return None

    def next_look(self, search: Search, elapsed: float) -> float | None:  # noqa: ARG002 - as above
        """Return when to look next, in seconds after the search began, of which `elapsed` have passed; None: never."""
        return None


class Random(Policy):
    """Anybody who waits, at random."""

    def __init__(self, choose: random.Random) -> None:
        super().__init__("random")
        self._choose = choose
        self._waiting: defaultdict[str, list[Search]] = defaultdict(list)

    def enter(self, search: Search) -> Search | None:
        """See Policy."""
        waiting = self._waiting[search.guest.mode]
        if not waiting:
            waiting.append(search)
            return None
        return waiting.pop(self._choose.randrange(len(waiting)))

    def leave(self, search: Search) -> None:
        """See Policy."""
        self._waiting[search.guest.mode].remove(search)


class FirstCome(Policy):
    """Whoever has waited longest."""

    def __init__(self) -> None:
        super().__init__("first come")
        self._waiting: defaultdict[str, dict[Search, None]] = defaultdict(dict)

    def enter(self, search: Search) -> Search | None:
        """See Policy."""
        waiting = self._waiting[search.guest.mode]
        if not waiting:
            waiting[search] = None
            return None
        found = next(iter(waiting))
        del waiting[found]
        return found

    def leave(self, search: Search) -> None:
        """See Policy."""
        del self._waiting[search.guest.mode][search]


class InterestsOnly(Policy):
    """Whoever has waited longest of those with the same interest, in whatever language, and nobody else.

    Guests who have named no interest meet each other.
    """

    def __init__(self) -> None:
        super().__init__("interests only")
        self._waiting: defaultdict[tuple[str, str], dict[Search, None]] = defaultdict(dict)
        """The searches that wait, by mode and interest."""

    def enter(self, search: Search) -> Search | None:
        """See Policy."""
        found = [next(iter(self._waiting[key])) for key in self._keys(search) if self._waiting[key]]
        if found:
            first = min(found, key=lambda other: other.began)
            self.leave(first)
            return first
        for key in self._keys(search):
            self._waiting[key][search] = None
        return None

    def leave(self, search: Search) -> None:
        """See Policy."""
        for key in self._keys(search):
            del self._waiting[key][search]

    @staticmethod
    def _keys(search: Search) -> list[tuple[str, str]]:
        return [(search.guest.mode, word) for word in search.guest.interests or ("",)]


class Ours(Policy):
    """What Passerby does: its own queue, asked as its matchmaking asks it."""

    def __init__(self, name: str, queue: MatchQueue, steps: Steps, *, met_limit: int, met_seconds: float) -> None:
        """`queue` must be one in memory. Each guest avoids the last `met_limit` partners for `met_seconds`."""
        super().__init__(name)
        self._queue = queue
        self._steps = steps
        self._met_limit = met_limit
        self._met_seconds = met_seconds
        self._tickets: dict[Search, Ticket] = {}
        self._searches: dict[str, Search] = {}
        """The searches that wait, by the id of their ticket."""

    def enter(self, search: Search) -> Search | None:
        """See Policy."""
        ticket = self._ticket(search)
        found = _answer(self._queue.enter(ticket, self._steps.openness(ticket.wish, 0.0)))
        if found is not None:
            return self._found(found)
        self._tickets[search] = ticket
        self._searches[ticket.id] = search
        return None

    def look(self, search: Search, elapsed: float) -> Search | None:
        """See Policy."""
        ticket = self._tickets[search]
        found = _answer(self._queue.look(ticket, self._steps.openness(ticket.wish, elapsed)))
        if found is None:
            return None
        self._forget(search)
        return self._found(found)

    def next_look(self, search: Search, elapsed: float) -> float | None:
        """See Policy."""
        return self._steps.next(self._tickets[search].wish, elapsed)

    def leave(self, search: Search) -> None:
        """See Policy."""
        _answer(self._queue.cancel(self._forget(search)))

    def _ticket(self, search: Search) -> Ticket:
        guest = search.guest
        met = [other for other, parted in search.met.items() if search.began - parted < self._met_seconds]
        wish = Wish(
            mode=guest.mode,
            interests=guest.interests,
            words=guest.interests,
            languages=guest.languages,
            patient=True,
            met=tuple(met[-self._met_limit :]) if self._met_limit else (),
        )
        return Ticket(f"{guest.id} {search.number}", guest.id, search.began, wish=wish)

    def _found(self, ticket: Ticket) -> Search:
        search = self._searches[ticket.id]
        self._forget(search)
        return search

    def _forget(self, search: Search) -> Ticket:
        ticket = self._tickets.pop(search)
        del self._searches[ticket.id]
        return ticket


def _answer(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns. It must not wait: there is no event loop, and a queue in memory needs none."""
    try:
        work.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    work.close()
    raise TypeError("the queue must be one in memory")
