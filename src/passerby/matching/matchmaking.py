"""Matchmaking: searches of guests, and pairing.

The queue pairs atomically. Its result is then checked against the connected guests. If one of the two is gone, the
other's ticket returns to the queue at its old position, without notice to the guest.

A search begins with all that the guest wishes. Step by step it accepts more (`stages`): each time it looks again, and
the guest is told. Whoever comes meanwhile finds it by what it accepts then.

Where there are several nodes, a search finds guests of its own node first, because nobody has to move then, and waits
for them a moment (`patience`). After that it looks among those of all nodes whose moment is over too, and they find it.

A durable queue outlives the process. It is told which searches go on (`renew`), and the process that follows asks it
for the searches of those who come back (`recall`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec.structs import replace

from passerby import ids
from passerby.background import ANSWER_LIMIT, FAILURES, is_failure
from passerby.clock import AnswerLimit, sleep
from passerby.errors import Code, ConflictError, InternalError
from passerby.matching.events import MatchCancelled, MatchError, MatchNoUsers, MatchSearching
from passerby.matching.preferences import shared
from passerby.measures import Histogram
from passerby.models import Ticket, Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from passerby.background import Background
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock, Timer
    from passerby.live import LiveGuest
    from passerby.matching.events import Stage
    from passerby.matching.meetings import Meetings
    from passerby.matching.pulse import Pulse
    from passerby.matching.queue import MatchQueue
    from passerby.matching.stages import Steps

_RECOVERY_PAUSE: Final = 1.0
"""Seconds after a failure of the queue until all searching guests enter again."""
RENEWAL: Final = 3.0
"""Seconds between two renewals of all searches in a durable queue."""
_TELL_AFTER: Final = 0.05
"""Seconds until guests are told that they search, if a durable queue has not answered yet. Mostly it has, and both are
told with one write."""
_REMINDER: Final = 3600.0
"""Seconds after which a durable queue is told again of a search that waits, because it forgets in the end."""
_WAITS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
"""Bounds of the histogram of waits: from those who find somebody at once to those who should have given up."""
_SOON: Final = 0.01
"""Seconds until the next look at least: a timer may be early, by the clock that counts the seconds of a search."""
_MESSAGES: Final[dict[Stage, str]] = {
    "interests": "Looking for someone who shares your interests",
    "language": "Looking for someone who speaks your language",
    "anyone": "Looking for someone to talk to",
    "again": "Looking for someone to talk to, perhaps somebody you have met before",
}
_NO_WISH = Wish()
_NOBODY = MatchNoUsers(message="Nobody who fits is waiting right now; the search goes on")
_CANCELLED = MatchCancelled(message="The search has ended")


Bring: TypeAlias = "Callable[[Ticket], Awaitable[LiveGuest | None]]"


async def _nobody(_ticket: Ticket) -> LiveGuest | None:
    return None


def _admit_all(_guest: LiveGuest) -> None:
    """Let every search begin."""


class Matchmaking:
    """Searches of live guests. `changed` is called when a guest's search has started or ended."""

    def __init__(
        self,
        queue: MatchQueue,
        rooms: Rooms,
        clock: Clock,
        background: Background,
        *,
        node: str,
        grace: float,
        patience: float,
        steps: Steps,
        meetings: Meetings,
        pulse: Pulse,
        changed: Callable[[LiveGuest], None],
        admit: Callable[[LiveGuest], None] = _admit_all,
    ) -> None:
        """Search in `queue`, open rooms in `rooms`. `grace` is how long a search is kept without a connection, in s.

        `node` is this node's id; `patience` is for how many seconds a search is left to it, if there are others.
        `admit` is called before a guest's search begins, and raises a PasserbyError if it may not begin now.
        """
        self._admit = admit
        self._node = node
        self._steps = steps
        self._meetings = meetings
        self._pulse = pulse
        self._stages: dict[str, Stage] = {}
        """What guests who search were told last, by id."""
        self._looks: dict[str, Timer] = {}
        """When the tickets that wait look again, by guest."""
        self._patience = patience
        self.others: Collection[str] = ()
        """The other nodes that are alive."""
        self.bring: Bring = _nobody
        """Brings a guest who lives on another node, and whose ticket was found, to this one."""
        self._queue = queue
        self._answer = AnswerLimit(clock, ANSWER_LIMIT).wait_for
        self._is_durable = queue.is_durable
        self._grace = grace
        self._rooms = rooms
        self._clock = clock
        self._background = background
        self._changed = changed
        self._seekers: dict[str, LiveGuest] = {}
        """The guests who hold a ticket, by id."""
        self._untold: dict[str, LiveGuest] = {}
        """Those who do not know yet that they search."""
        self._is_telling = False
        """Whether `_tell_all` is due."""
        self._recovery: Timer | None = None
        self.begun = 0
        """Searches that have begun here."""
        self.waits = Histogram(_WAITS)
        """How long those took that have ended with a match, in seconds."""

    @property
    def waiting(self) -> int:
        """Return the number of searching guests."""
        return len(self._seekers)

    async def search(self, guest: LiveGuest, wish: Wish = _NO_WISH) -> None:
        """Start a search. A guest who is already searching is informed again and keeps their position.

        Raises ConflictError (already_in_room), and what `admit` raises.
        """
        if guest.link is None:
            return  # disconnected while the request was waiting
        if guest.member is not None:
            raise ConflictError(Code.ALREADY_IN_ROOM, "You are in a conversation; leave it to find someone new")
        guest.notice = None  # the client knows that the previous room has ended
        wish = self._avoiding(replace(wish, met=self._meetings.met(guest.guest)), guest)
        if guest.ticket is not None and guest.ticket.wish == wish:
            self._tell(guest, again=True)
            return
        former = guest.ticket
        if former is None:
            self._admit(guest)
            self._rooms.moved_on(guest)
            self.begun += 1
        since = former.entered_at if former is not None else self._clock.time()
        ticket = Ticket(ids.ticket_id(), guest.guest.id, since, self._node, wish)
        self._set(guest, ticket)
        if self._is_durable and former is None:
            self._tell_soon(guest)
        else:
            self._tell(guest, again=True)
        if not await self._enter(guest, ticket) and self._holds(guest, ticket):
            self._give_up(guest)
            self._background.start("withdrawal of a ticket", self._withdraw(guest, ticket))
        if self._is_durable and former is not None:  # as in `_return`
            await self._withdraw(guest, former)

    @staticmethod
    def _avoiding(wish: Wish, guest: LiveGuest) -> Wish:
        """Return the wish with whom the guest must not meet now."""
        own = guest.guest
        return replace(wish, origin="" if own.root == own.id else own.root, never=tuple(own.never))

    def never_again(self, one: LiveGuest, other: LiveGuest) -> None:
        """The two must not meet again: neither by the searches that they have begun, nor by later ones."""
        self._meetings.never_again(one.guest, other.guest)
        for guest in (one, other):
            self._search_anew(guest)

    def avoid(self, guest: LiveGuest, root: str) -> None:
        """Do so for a guest whose partner is perhaps not here: `root` is the partner's."""
        self._meetings.avoid(guest.guest, root)
        self._search_anew(guest)

    def _search_anew(self, guest: LiveGuest) -> None:
        """It has changed whom a guest must not meet."""
        former = guest.ticket
        if former is None:
            self._changed(guest)
            return
        # Whoever finds the former one finds that nobody holds it any more.
        ticket = replace(former, id=ids.ticket_id(), wish=self._avoiding(former.wish, guest))
        self._set(guest, ticket)
        self._background.start("return to a search", self._return(guest, ticket, former))

    def _tell_soon(self, guest: LiveGuest) -> None:
        self._untold[guest.guest.id] = guest
        if not self._is_telling:
            self._is_telling = True
            self._background.call_later("telling of searches", _TELL_AFTER, self._tell_all)

    def _tell_all(self) -> None:
        self._is_telling = False
        for guest in list(self._untold.values()):
            self._tell(guest)

    def _tell(self, guest: LiveGuest, *, again: bool = False) -> None:
        """Tell a guest that they search, if they do not know it yet, or `again`."""
        ticket = guest.ticket
        if (self._untold.pop(guest.guest.id, None) is None and not again) or ticket is None:
            return
        elapsed = self._elapsed(ticket)
        stage = self._stages[guest.guest.id] = self._steps.openness(ticket.wish, elapsed).stage(ticket.wish)
        waiting, usual = self._pulse.searching(ticket.wish.mode), self._pulse.usual_wait()
        searching = MatchSearching(message=_MESSAGES[stage], stage=stage, waiting=waiting, elapsed=round(elapsed, 1))
        if usual is not None:
            searching.usual_wait = usual
        guest.send(searching)

    def _elapsed(self, ticket: Ticket) -> float:
        return max(0.0, self._clock.time() - ticket.entered_at)

    async def cancel(self, guest: LiveGuest) -> None:
        """Stop searching. Raises ConflictError (not_searching)."""
        ticket = guest.ticket
        if ticket is None:
            raise ConflictError(Code.NOT_SEARCHING, "You are not searching")
        self._set(guest, None)
        guest.send(_CANCELLED)
        await self._withdraw(guest, ticket)

    def drop(self, guest: LiveGuest) -> None:
        """The guest is in a room again, which they had left: end the search, if any, without a word."""
        ticket = guest.ticket
        if ticket is not None:
            self._set(guest, None)
            self._background.start("withdrawal of a ticket", self._withdraw(guest, ticket))

    def suspend(self, guest: LiveGuest) -> None:
        """The guest lost the connection: stop matching them, but keep their position."""
        ticket = guest.ticket
        if ticket is not None:
            guest.suspended = ticket
            self._set(guest, None)
            self._background.start("withdrawal of a ticket", self._withdraw(guest, ticket))

    def restore(self, guest: LiveGuest) -> None:
        """The guest has reconnected: continue a suspended search at its old position."""
        suspended, guest.suspended = guest.suspended, None
        if guest.ticket is not None:
            self._tell(guest, again=True)  # the connection was replaced before its loss was detected
        if suspended is None or guest.ticket is not None or guest.member is not None:
            return
        # A new id, so that a pending withdrawal of the old ticket does not remove this one.
        wish = self._avoiding(suspended.wish, guest)  # it may have changed meanwhile
        ticket = replace(suspended, id=ids.ticket_id(), node=self._node, wish=wish)
        self._set(guest, ticket)
        self._tell(guest, again=True)
        self._background.start("return to a search", self._return(guest, ticket, suspended))

    def recall_later(self, guest: LiveGuest, *, has_met: bool = False) -> None:
        """The guest has connected to this process for the first time, but not to an earlier one: `recall`, if any."""
        if self._is_durable:
            self._background.start("recall of a search", self.recall(guest, has_met=has_met))

    async def recall(self, guest: LiveGuest, *, has_met: bool = False) -> None:
        """If the queue knows a search of the guest, it is suspended: `restore` continues it, at once if they are here.

        If the guest `has_met` somebody, as the client says, or is in a room, the search has ended, and the process has
        died before the queue knew. It has ended too if they have begun another one meanwhile.
        Raises OSError, and TimeoutError.
        """
        found = await self._answer(self._queue.recall(guest.guest.id))
        current = guest.ticket or guest.suspended
        if found is None or (current is not None and current.id == found.id):
            return
        if has_met or guest.member is not None or current is not None:
            await self._withdraw(guest, found)
            return
        guest.suspended = found
        if guest.link is not None:
            self.restore(guest)

    # ── guests who move between nodes ─────────────────────────────────────────────────────────────

    def release(self, guest: LiveGuest) -> None:
        """The guest moves to another node, with the search: nothing of it is told or withdrawn here."""
        guest.has_moved = True
        self._tell(guest)
        self._forget(guest)
        if guest.ticket is not None:
            self._queue.release(guest.ticket)
            guest.ticket = None

    def adopt(self, guest: LiveGuest) -> None:
        """The guest has moved here. If they search, `go_on` has to be called, or the ticket has a partner."""
        if guest.ticket is not None:
            self._seekers[guest.guest.id] = guest
            self._pulse.searched(guest.guest.id, guest.ticket.wish)

    def go_on(self, guest: LiveGuest) -> None:
        """Let a guest who searches enter again, with a ticket that was found in vain."""
        if guest.ticket is not None:
            self._background.start("return to a search", self._return(guest, self._own(guest, guest.ticket)))

    def _own(self, guest: LiveGuest, ticket: Ticket) -> Ticket:
        """Return the guest's ticket as one of this node."""
        if ticket.node != self._node:
            ticket = replace(ticket, node=self._node)
            if guest.ticket is not None:
                guest.ticket = ticket
        return ticket

    async def renew(self) -> None:
        """Wait an interval, then tell the queue which searches go on. Those that it has lost enter again."""
        await sleep(self._clock, RENEWAL)
        for ticket in await self._answer(self._queue.renew(self._tickets())):
            guest = self.searching(ticket)
            if guest is not None and not await self._enter(guest, ticket, is_told=True):
                return  # it lets everybody enter again

    def _tickets(self) -> Iterator[Ticket]:
        """Yield the tickets of all searches, each as it is when it is asked for."""
        for guest in list(self._seekers.values()):
            if guest.ticket is not None:
                yield guest.ticket

    async def _return(self, guest: LiveGuest, ticket: Ticket, suspended: Ticket | None = None) -> None:
        """Enter with `ticket` instead of the `suspended` one, or of one that still waits.

        A durable queue that cannot be used now still has the suspended one, and not the other, whose end will therefore
        not remove it: guests would search again, after a restart, who have long stopped.
        """
        await self._enter(guest, ticket)
        if self._is_durable and suspended is not None:
            await self._withdraw(guest, suspended)

    async def _enter(self, guest: LiveGuest, ticket: Ticket, *, is_told: bool = False, is_look: bool = False) -> bool:
        """Enter until a connected partner is found or nobody fits; also for a guest paired in vain.

        `guest` is told that nobody is there, if they were not before. `is_look`: the ticket waits, and looks again.

        Return False when the queue has failed, or has not answered in time. It may then contain the ticket or not, and
        another guest's ticket may be lost. Therefore all searching guests enter again, a little later.
        """
        seeker = None if is_told else guest
        while True:
            patience = self._patience if not is_look and self.others else 0.0
            elapsed = self._elapsed(ticket)
            openness = self._steps.openness(ticket.wish, elapsed)
            if is_look and openness.stage(ticket.wish) != self._stages.get(guest.guest.id):
                self._tell(guest, again=True)
            try:
                found = await self._answer(
                    self._queue.look(ticket, openness) if is_look else self._queue.enter(ticket, openness, patience)
                )
            except FAILURES as error:
                if not is_failure(error):
                    raise
                self._background.failed("entering the queue", error)
                self._recover()
                return False
            here = self._holds(guest, ticket)
            if found is None:
                await self._wait(guest, ticket, elapsed, patience, is_new=guest is seeker)
                return True
            is_look = False
            partner = self.searching(found)
            if partner is None:
                partner = await self._bring(found)
                here = self._holds(guest, ticket)
            if here and partner is not None:
                self._meet(guest, partner)
                return True
            if not here:
                self._release(guest, ticket)
                if partner is None:
                    return True
                # Paired with a guest who is gone: enter again at the old position.
                guest, ticket = partner, self._own(partner, found)

    async def _wait(self, guest: LiveGuest, ticket: Ticket, looked: float, patience: float, *, is_new: bool) -> None:
        """The ticket waits in the queue: tell the guest, or withdraw it if the search has ended meanwhile.

        It looks again when `patience` is over, before the guest is told that nobody is there; and when it accepts more
        than after the seconds at which it has `looked`, even if that time has passed while the queue answered.
        """
        if not self._holds(guest, ticket):
            await self._withdraw(guest, ticket)
            return
        self._tell(guest)
        if is_new and not patience:
            guest.send(_NOBODY)
        change = self._steps.next(ticket.wish, looked)
        delays = [] if change is None else [max(change - self._elapsed(ticket), _SOON)]
        if patience:
            delays.append(patience)
        elif self._is_durable:
            delays.append(_REMINDER)
        self._rest(guest)
        if delays:
            look = partial(self._look_again, guest, ticket, is_told=not (is_new and patience))
            self._looks[guest.guest.id] = self._background.call_later("next look of a search", min(delays), look)

    def _rest(self, guest: LiveGuest) -> None:
        """Do not look again."""
        timer = self._looks.pop(guest.guest.id, None)
        if timer is not None:
            timer.cancel()

    def _look_again(self, guest: LiveGuest, ticket: Ticket, *, is_told: bool) -> None:
        if self._holds(guest, ticket):
            self._background.start("next look of a search", self._look(guest, ticket, is_told=is_told))

    async def _look(self, guest: LiveGuest, ticket: Ticket, *, is_told: bool) -> None:
        await self._enter(guest, ticket, is_told=is_told, is_look=True)

    async def _bring(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest of a ticket that was found, who may live on another node, and lives here now."""
        return None if ticket.node in ("", self._node) else await self.bring(ticket)

    def _recover(self) -> None:
        """After a failure of the queue: let all searching guests enter again, a little later."""
        if self._recovery is None:
            self._recovery = self._background.call_later("recovery of the queue", _RECOVERY_PAUSE, self._begin_again)

    def _begin_again(self) -> None:
        self._recovery = None
        self._background.start("recovery of the queue", self._enter_again())

    async def _enter_again(self) -> None:
        for guest in list(self._seekers.values()):
            if guest.ticket is not None and not await self._enter(guest, guest.ticket):
                return  # it schedules the next attempt

    def _meet(self, guest: LiveGuest, partner: LiveGuest) -> None:
        """Open a room for two guests whose tickets the queue has paired."""
        tickets = guest.ticket, partner.ticket
        assert tickets[0] is not None and tickets[1] is not None  # noqa: S101, PT018 - the callers have looked
        wishes = tickets[0].wish, tickets[1].wish
        waits = self._elapsed(tickets[0]), self._elapsed(tickets[1])
        self._pulse.met(max(waits))
        for wait in waits:
            self.waits.add(wait)
        self._tell(guest)
        self._tell(partner)
        self._assign(guest, None)
        self._assign(partner, None)
        try:
            met_before = partner.guest.id in wishes[0].met or guest.guest.id in wishes[1].met
            self._rooms.open(guest, partner, shared(*wishes), met_before=met_before)  # marks both as changed
        except FAILURES as error:  # after any error both searches end and both are informed
            if not is_failure(error):
                raise
            self._background.failed("opening of a room", error)
            for seeker in (guest, partner):
                self._background.attempt("marking a changed session", self._changed, seeker)
                self._give_up(seeker)
        if self._is_durable:
            self._background.attempt("forgetting of tickets", self._queue.forget, *tickets)

    def _give_up(self, guest: LiveGuest) -> None:
        """End a search that failed; inform the guest, who may start another."""
        if guest.ticket is not None:
            self._set(guest, None)
        error = InternalError()
        guest.send(MatchError(message=error.message, code=error.code))

    async def _withdraw(self, guest: LiveGuest, ticket: Ticket) -> None:
        """Remove the ticket of an ended or suspended search from the queue; a suspended one can be recalled.

        If that fails, the ticket stays in the queue but is ignored, because no guest holds it.
        """
        if guest.has_moved:
            self._release(guest, ticket)
            return
        try:
            if guest.suspended == ticket:
                await self._answer(self._queue.suspend(ticket, self._grace))
            else:
                await self._answer(self._queue.cancel(ticket))
        except FAILURES as error:
            if not is_failure(error):
                raise
            self._background.failed("withdrawal of a ticket", error)

    def _release(self, guest: LiveGuest, ticket: Ticket) -> None:
        """Nothing of a ticket is kept here if its search goes on elsewhere, or not at all."""
        seeker = self._seekers.get(ticket.guest_id)
        is_here = seeker is not None and seeker.ticket is not None and seeker.ticket.id == ticket.id
        if not is_here and (guest.has_moved or guest.suspended != ticket):
            self._queue.release(ticket)

    @staticmethod
    def _holds(guest: LiveGuest, ticket: Ticket) -> bool:
        return guest.ticket == ticket

    def searching(self, ticket: Ticket) -> LiveGuest | None:
        """Return the guest who holds `ticket` and is still searching with it."""
        guest = self._seekers.get(ticket.guest_id)
        return guest if guest is not None and self._holds(guest, ticket) else None

    def _set(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        self._assign(guest, ticket)
        self._changed(guest)

    def _forget(self, guest: LiveGuest) -> None:
        """The guest searches no longer here."""
        self._seekers.pop(guest.guest.id, None)
        self._untold.pop(guest.guest.id, None)
        self._stages.pop(guest.guest.id, None)
        self._rest(guest)
        self._pulse.ended(guest.guest.id)

    def _assign(self, guest: LiveGuest, ticket: Ticket | None) -> None:
        if ticket is None:
            self._forget(guest)
        else:
            self._seekers[guest.guest.id] = guest
            self._pulse.searched(guest.guest.id, ticket.wish)
        guest.ticket = ticket
        guest.guest.is_searching = ticket is not None
