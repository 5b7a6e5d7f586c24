"""The queue in Redis or Valkey: matching is one script there. What this process has entered is in its memory too."""

from __future__ import annotations

import asyncio
import itertools
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import msgspec

from passerby.logs import Sampled
from passerby.matching.places import EXAMINED, FAIR, everybody, position, stands, tiers
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.stages import OPEN
from passerby.models import Ticket
from passerby.redis.client import LostError, RedisError, RefusedError, Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.matching.stages import Openness
    from passerby.redis.client import Part, Redis, Reply

log = logging.getLogger(__name__)
T = TypeVar("T")

LEASE: Final = 10.0
"""Seconds that a ticket can be found after its process has last said that the search goes on: three times what is
between two renewals, so that two of them may fail. Also the time that two who were matched have to get a room."""
KEPT: Final = 30.0
"""Seconds after the end of a lease that a search can be recalled: a process that has died is up again, and its guests
have come back."""
_PLACES_KEPT: Final = 86_400.0
"""Seconds that a place is kept after the last one has come to it: much longer than until a search looks again."""
_KEYS_KEPT: Final = 600.0
"""Seconds that the keys are kept at least when no process is left that uses them."""
DROPPED: Final = 100
"""Maximum number of tickets of the dead that one run of a script drops: 0.1 ms."""
TOGETHER: Final = 32
"""Tickets that enter with one run of a script, so that it does not take long: 0.3 ms of the server's time."""
_PLACES: Final = 1000
"""Places to which these go, and in which they look, all together: about as many as 32 with five interests each have.
One with all that can be asked for has half of it, and takes 1 ms."""
_FORGET_LATE: Final = 0.05
"""Seconds until Redis forgets the tickets of guests who have met: it has their room then."""
AT_ONCE: Final = 200
"""Tickets that one run of a script renews, or removes: 0.2 ms of the server's time."""


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


_LEASE_MS, _KEPT_MS, _KEYS_KEPT_MS, _PLACES_KEPT_MS = map(_ms, (LEASE, KEPT, _KEYS_KEPT, _PLACES_KEPT))
_EVERYWHERE: Final = "*"
"""In front of the names of places: for guests of all nodes. Else it is the node's id."""


def _script(name: str) -> Script:
    folder = Path(__file__)
    return Script(folder.with_name(f"queue_{name}.lua"), folder.with_name("queue_leave.lua"))


_ENTER, _REMOVE, _SUSPEND, _RECALL, _RENEW, _SWEEP, _REPAIR = map(
    _script, ("enter", "remove", "suspend", "recall", "renew", "sweep", "repair")
)


class RedisMatchQueue:
    """Tickets in Redis, with leases; all keys are in one slot. The tickets of this process are in its memory too.

    The lease is measured by the server's clock alone, so no clock of a process has to be right.

    **Redis cannot be used, or refuses:** the memory goes on, and this process's guests find each other there. `renew`
    finds nothing lost as long as that lasts. Then it returns what Redis does not have, so that it enters again: the
    one way back after an outage, FLUSHALL, or a failover that has lost the last writes. `resync` only lets others
    forget what has ended meanwhile, and makes what has not ended recallable at once.

    **The answer to `enter` is lost** (LostError): it may have been applied, and then the ticket, and a partner's,
    are matched in Redis and nobody knows. The search goes on in memory at once, so no guest sees an error. When the
    ticket enters Redis again, because `renew` returns it, or because the caller lets everybody enter again, it has the
    same number of its attempt. The script then answers what it has answered before, if it was applied, and else
    enters. If that never happens, because the guest has met somebody in memory or has given up, the partner waits
    until the claim on them ends (`LEASE`) and is returned by their own process's `renew`.

    **All tickets that enter in one turn of the event loop are one run of the script**, up to `TOGETHER`. They enter one
    after the other there, each has an answer of its own, and an error of one is not one of the others. Nothing else is
    sent before them, so a ticket that is cancelled or forgotten has entered before.

    **Guests of the same node are preferred**, if the caller has patience: each node has places of its own, beside those
    of all nodes. A ticket whose patience is not over stands only in those of its node, but all know that it is there:
    see `places.everybody`.

    **What stands in a place but does not wait** is dropped by whoever comes across it, and the places expire: a process
    of another version may have matched it, which does not know of places.

    So no answer is given twice, and what the script matched is never matched again before its process lets it. What
    memory matched meanwhile is known to be old by whoever is given it: the caller checks that its guest still holds
    the ticket.
    """

    is_durable = True

    def __init__(self, redis: Redis, clock: Clock, background: Background, node: str = "", fair: float = FAIR) -> None:
        """`fair` is in seconds, see `places.tiers`. `node` is this node's id, as in its tickets."""
        self._redis = redis
        self._clock = clock
        self._background = background
        self._fair = fair
        self._memory = MemoryMatchQueue(clock, fair)
        """What Redis should have of this process."""
        self._keys = tuple(redis.key(f"{{mm}}:{name}") for name in ("tickets", "waiting", "leases", "places"))
        self._node = node
        self._claim = redis.key("{mm}:claim:")
        self._attempts = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop
        """The event loop of those who enter: to ask for the running one is a system call."""
        self._entering: list[asyncio.Future[Reply | RedisError]] = []
        """Those who wait for the answers to what this turn sends."""
        self._claims: list[str] = []
        self._tickets: list[Part] = []
        """What the script gets of the tickets that enter in this turn."""
        self._weight = 0
        """Of these, the number of places to which they go and in which they look."""
        self._lost: dict[str, int] = {}
        """The attempts to enter of those who wait in memory, and perhaps in Redis, by ticket id: the answer was lost,
        or Redis has refused, or could not be asked. They enter again there, by `renew`."""
        self._ended: dict[str, tuple[Ticket, float]] = {}
        """Tickets that ended while Redis could not be told, by id, and when (monotonic seconds), the oldest first."""
        self._forgotten: list[Ticket] = []
        """Tickets of guests who have met, of which Redis is not told yet."""
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Ticket).decode
        self._refused = Sampled(log.error, "Redis refuses searches; they go on in memory", clock.monotonic)

    # ── MatchQueue ────────────────────────────────────────────────────────────────────────────────

    async def enter(self, ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        """See MatchQueue."""
        scopes = (self._node,) if patience else (_EVERYWHERE,)
        is_repaired = False
        while self._redis.is_usable:
            lost = self._lost.pop(ticket.id, None)
            attempt = lost or next(self._attempts)
            try:
                reply = await self._enter(ticket, openness, scopes, attempt, may_be_applied=lost is not None)
            except asyncio.CancelledError:
                self._lost[ticket.id] = attempt
                raise
            if isinstance(reply, RedisError):
                self._lost[ticket.id] = attempt
                if isinstance(reply, LostError):
                    break
                self._note(reply)
                if isinstance(reply, RefusedError) and reply.code == "WRONGTYPE" and not is_repaired:
                    is_repaired = True
                    continue
                break
            if reply is None:
                self._memory.add(ticket, openness)
                return None
            partner = self._read(reply)
            if partner is not None:
                self._memory.discard(ticket.guest_id)
                self._memory.take(partner)  # if it is suspended, which Redis does not know, it can still be recalled
                return partner
        # Redis may have an earlier ticket of the guest, which `renew` would take for this one.
        self._lost.setdefault(ticket.id, next(self._attempts))
        return await self._memory.enter(ticket, openness)

    async def look(self, ticket: Ticket, openness: Openness = OPEN) -> Ticket | None:
        """See MatchQueue. While an answer is lost, and Redis can be used, it has no effect: `renew` helps then."""
        scopes = (self._node, _EVERYWHERE)
        while self._redis.is_usable and ticket.id not in self._lost:
            attempt = next(self._attempts)
            try:
                reply = await self._enter(ticket, openness, scopes, attempt, is_look=True)
            except asyncio.CancelledError:
                self._lost[ticket.id] = attempt
                raise
            if isinstance(reply, RedisError):
                if isinstance(reply, LostError):
                    self._lost[ticket.id] = attempt
                self._note(reply)
                break
            if reply is None:
                if self._memory.take(ticket):
                    self._memory.add(ticket, openness)
                return None
            partner = self._read(reply)
            if partner is not None:
                self._memory.discard(ticket.guest_id)
                self._memory.take(partner)
                return partner
        if self._redis.is_usable and ticket.id in self._lost:
            return None
        return await self._memory.look(ticket, openness)

    def _enter(
        self,
        ticket: Ticket,
        openness: Openness,
        scopes: tuple[str, ...],
        attempt: int,
        *,
        is_look: bool = False,
        may_be_applied: bool = False,
    ) -> asyncio.Future[Reply | RedisError]:
        """Let a ticket enter with the others of this turn. The future gets the answer to it, or the error."""
        entering = self._entering
        if not entering:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._send_entering)
        answer: asyncio.Future[Reply | RedisError] = self._loop.create_future()
        entering.append(answer)
        self._claims.append(self._claim + ticket.id)
        encoded, place = self._encode(ticket), f"{position(ticket):.4f}"
        self._tickets += (ticket.guest_id, encoded, attempt, int(may_be_applied), int(is_look), place)
        all_nodes = _named("", (_EVERYWHERE,), everybody(ticket.wish))  # also before the patience is over
        places = stands(ticket.wish, openness)
        self._weight += len(places) * len(scopes)
        self._tickets.append(_named("1" if openness.again else "0", scopes, places) + all_nodes)
        self._tickets += self._tiers(ticket, openness, scopes)
        self._tickets.append(all_nodes)
        if len(entering) == TOGETHER or self._weight >= _PLACES:
            self._send_entering()
        return answer

    def _tiers(self, ticket: Ticket, openness: Openness, scopes: tuple[str, ...]) -> list[Part]:
        """Return where the script is to look: of equally good places those of the first scope come first."""
        parts: list[Part] = [0]
        now = self._clock.time()
        for tier in tiers(ticket.wish, openness, self._fair):
            latest = f"{(now - tier.age) * 1000:.4f}" if tier.age else "+inf"
            self._weight += len(tier.places) * len(scopes)
            for scope in scopes:
                parts += (latest, _named("", (scope,), tier.places))
        parts[0] = len(parts) // 2
        return parts

    def _send_entering(self) -> None:
        """Send the tickets that enter in this turn, if there are any."""
        if not self._entering:
            return
        entering, self._entering = self._entering, []
        claims, self._claims = self._claims, []
        tickets, self._tickets = self._tickets, []
        self._weight = 0
        keys = (*self._keys, *claims)
        arguments = (_LEASE_MS, _KEYS_KEPT_MS, DROPPED, EXAMINED, _PLACES_KEPT_MS, *tickets)
        try:
            self._redis.run_then(partial(_answer, entering), _ENTER, keys, *arguments)
        except Exception as error:  # noqa: BLE001 - whoever waits must get an answer
            self._background.failed("sending of searches", error)
            _answer(entering, RedisError(str(error)))

    async def cancel(self, ticket: Ticket) -> bool:
        """See MatchQueue."""
        self._lost.pop(ticket.id, None)
        waited = self._memory.remove(ticket)
        if not self._redis.is_usable:
            self._note_end(ticket)
            return waited
        try:
            return await self._remove([ticket]) > 0
        except RedisError as error:
            self._note(error)
            self._note_end(ticket)
            return waited

    async def suspend(self, ticket: Ticket, seconds: float) -> None:
        """See MatchQueue."""
        self._lost.pop(ticket.id, None)
        await self._memory.suspend(ticket, seconds)
        if self._redis.is_usable:
            try:
                await self._suspend(ticket, seconds)
            except RedisError as error:  # `resync` does it
                self._note(error)

    async def recall(self, guest_id: str) -> Ticket | None:
        """See MatchQueue."""
        if not self._redis.is_usable:
            return await self._memory.recall(guest_id)
        tickets, _, leases, _ = self._keys
        reply = await self._run(_RECALL, (tickets, leases), guest_id, _KEPT_MS)
        found = self._read(reply)
        return None if found in self._forgotten else found

    def forget(self, *tickets: Ticket) -> None:
        """See MatchQueue. Redis is told a moment later, of many at once: when it has their rooms."""
        for ticket in tickets:
            self._lost.pop(ticket.id, None)
            self._memory.remove(ticket)
        if not self._forgotten:
            self._background.call_later("forgetting of tickets", _FORGET_LATE, self._forget)
        self._forgotten += tickets

    def release(self, ticket: Ticket) -> None:
        """See MatchQueue."""
        self._lost.pop(ticket.id, None)
        self._memory.remove(ticket)

    def _forget(self) -> None:
        forgotten, self._forgotten = self._forgotten, []
        for start in range(0, len(forgotten), AT_ONCE):
            self._tell_forgotten(forgotten[start : start + AT_ONCE])

    def _tell_forgotten(self, tickets: list[Ticket]) -> None:
        def done(reply: Reply | RedisError) -> None:
            if isinstance(reply, RedisError):
                self._note(reply)
                self._note_end(*tickets)

        self._send_entering()
        self._redis.run_then(done, _REMOVE, self._with_claims(tickets), *self._with_guests(tickets))

    async def renew(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        """See MatchQueue. Also removes tickets that nobody can recall any more, and those whose removal was refused."""
        if not self._redis.is_usable:
            return []
        try:
            await self._remove_ended()
            lost = await self._renew(tickets)
            while await self._run(_SWEEP, self._keys, _KEPT_MS, AT_ONCE) == AT_ONCE:
                pass
        except RedisError as error:
            self._note(error)
            return []
        return lost

    async def size(self) -> int:
        """See MatchQueue."""
        if self._redis.is_usable:
            try:
                self._send_entering()
                reply = await self._redis.command("SCARD", self._keys[1])
            except RedisError as error:
                self._note(error)
            else:
                return cast("int", reply)
        return await self._memory.size()

    async def check(self) -> None:
        """See MatchQueue. Without Redis the memory serves."""

    async def close(self) -> None:
        """See MatchQueue. Who still searches stays in Redis, and is recalled by the process that follows."""
        self._send_entering()
        self._forget()
        await self._memory.close()
        self._ended.clear()
        self._lost.clear()

    # ── Redis is back ─────────────────────────────────────────────────────────────────────────────

    async def resync(self) -> None:
        """Write what Redis has missed. Can be repeated. Raises RedisError.

        First what has ended. Then what waits, but Redis does not know: recallable only, because a partner may wait
        there; the next `renew` returns it, and so it enters again, within 3 s.
        """
        await self._run(_REPAIR, self._keys)
        await self._remove_ended()
        for ticket in await self._renew(self._memory.waiting()):
            if await self._memory.recall(ticket.guest_id) is ticket:  # else it has ended meanwhile
                await self._suspend(ticket, KEPT)
        for ticket, seconds in self._memory.suspended():
            if await self._memory.recall(ticket.guest_id) is ticket:
                await self._suspend(ticket, seconds)

    async def _remove_ended(self) -> None:
        """Remove what has ended, and may be in Redis. Raises RedisError."""
        while self._ended:
            for chunk in _chunks(list(self._ended.values())):
                await self._remove([ticket for ticket, _ in chunk])
                for ticket, _ in chunk:
                    self._ended.pop(ticket.id, None)

    def _note_end(self, *tickets: Ticket) -> None:
        """Remember that searches have ended, as long as Redis may have their tickets."""
        now = self._clock.monotonic()
        while self._ended and next(iter(self._ended.values()))[1] < now - LEASE - KEPT:
            del self._ended[next(iter(self._ended))]
        for ticket in tickets:
            self._ended[ticket.id] = ticket, now

    # ── scripts ───────────────────────────────────────────────────────────────────────────────────

    def _run(self, script: Script, keys: Sequence[str], *arguments: Part) -> asyncio.Future[Reply]:
        """Run a script, after what was entered before."""
        self._send_entering()
        return self._redis.run(script, keys, *arguments)

    async def _remove(self, tickets: list[Ticket]) -> int:
        """Return how many of them have waited."""
        reply = await self._run(_REMOVE, self._with_claims(tickets), *self._with_guests(tickets))
        return cast("int", reply)

    async def _suspend(self, ticket: Ticket, seconds: float) -> None:
        arguments = (ticket.guest_id, self._encode(ticket), _ms(seconds), _KEPT_MS, _KEYS_KEPT_MS)
        await self._run(_SUSPEND, self._keys, *arguments)

    async def _renew(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        """Return the tickets that are lost, or may be. Other commands run between the chunks, here and there."""
        missing: list[Ticket] = []
        for chunk in _chunks(tickets):
            guests = [ticket.guest_id for ticket in chunk]
            reply = await self._run(_RENEW, self._keys, _LEASE_MS, _KEYS_KEPT_MS, *guests)
            places = set(cast("list[int]", reply))
            if places or self._lost:
                missing += [ticket for place, ticket in enumerate(chunk) if place in places or ticket.id in self._lost]
        return missing

    def _with_claims(self, tickets: Iterable[Ticket]) -> list[str]:
        return [*self._keys, *[self._claim + ticket.id for ticket in tickets]]

    def _with_guests(self, tickets: Iterable[Ticket]) -> list[Part]:
        parts: list[Part] = []
        for ticket in tickets:
            parts += (ticket.guest_id, self._encode(ticket))
        return parts

    def _read(self, reply: Reply) -> Ticket | None:
        """Return the ticket of an answer; None if it is none, or damaged: then nobody holds it."""
        try:
            return self._decode(reply) if isinstance(reply, bytes) else None
        except msgspec.DecodeError:
            return None

    def _note(self, error: RedisError) -> None:
        """Log that Redis has refused; that it cannot be reached is known."""
        if isinstance(error, RefusedError):
            self._refused.note()
            if error.code == "WRONGTYPE":  # somebody else has written a key; else it would be refused for ever
                self._redis.run_then(_ignore, _REPAIR, self._keys)


def _named(first: str, scopes: tuple[str, ...], names: list[str]) -> str:
    """Return the names of places with each scope, each after a line break."""
    return first + "".join([f"\n{scope}{name}" for scope in scopes for name in names])


def _answer(entering: list[asyncio.Future[Reply | RedisError]], reply: Reply | RedisError) -> None:
    """Give everybody their answer of those to a run of the script, or the error, which is one for all."""
    is_each = isinstance(reply, list) and len(reply) == len(entering)
    answers = cast("list[Reply | RedisError]", reply) if is_each else itertools.repeat(reply)
    for waiter, answer in zip(entering, answers, strict=False):
        if not waiter.done():
            waiter.set_result(answer)


def _ignore(_: Reply | RedisError) -> None:
    """Do nothing: for answers that nobody needs."""


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of at most `AT_ONCE` items, each read when it is asked for."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, AT_ONCE)):
        yield chunk
