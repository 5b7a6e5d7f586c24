"""What a match costs if guests say whom they want to meet, against one where they do not, with many who wait."""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Start, cpu_clock
from benchmarks.stores import running
from benchmarks.talk import no_garbage_collection
from passerby import ids
from passerby.assembly import Assembly, adapters
from passerby.background import Background
from passerby.clock import SystemClock
from passerby.errors import Code
from passerby.events import Event
from passerby.live import LiveGuest
from passerby.models import Guest, Message, Wish
from passerby.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEMORY_BAR = Bar(at_most=0.3, unit="ms")
REDIS_BAR = Bar(at_most=0.4, unit="ms")
RATIO_BAR = Bar(at_most=2)
AT_ONCE = 64
"""Guests who search in the same turn."""
WORDS = [f"interest {number}" for number in range(50)]
LANGUAGES = ("en", "de", "fr")
WAITED = 600.0
"""Seconds that a search asks for a shared interest: nobody of those who wait gives it up meanwhile."""


class Client:
    """Encodes what a client would get."""

    def send(self, event: Event | Message) -> None:
        """See Link."""
        msgspec.json.encode(event)

    def deliver(self, message: bytes, receipt: Event) -> None:
        """See Link. No messages are sent here."""

    async def drain(self) -> None:
        """See Link."""

    def close(self, code: Code) -> None:
        """See Link."""
        raise AssertionError(code)


class House:
    """All services without sockets, and a crowd who waits for somebody who never comes."""

    def __init__(self, assembly: Assembly, choose: random.Random) -> None:
        """The services have started."""
        self._assembly = assembly
        self._choose = choose
        self._numbers = itertools.count()

    def newcomer(self) -> LiveGuest:
        """Connect a guest."""
        now = self._assembly.guests.timestamps.now()
        guest = Guest(id=ids.guest_id(), session_id=ids.session_id(), username="Anna", last_seen=now, created_at=now)
        expires = self._assembly.clock.time() + self._assembly.settings.session_ttl
        return self._assembly.presence.connect(guest, Client(), f"socket_{next(self._numbers)}", expires, None)

    def wish(self, words: list[str]) -> Wish:
        """Return a wish with five interests."""
        return Wish(
            interests=tuple(words), words=tuple(words), languages=(self._choose.choice(LANGUAGES),), patient=True
        )

    def usual(self) -> Wish:
        """Return a wish that others share."""
        return self.wish(self._choose.sample(WORDS, 5))

    async def fill(self, count: int) -> None:
        """Let guests wait whose interests nobody shares."""
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(
                *(
                    self._assembly.matchmaking.search(
                        self.newcomer(), self.wish([f"rare {number} {each}" for each in range(5)])
                    )
                    for number in range(start, min(start + AT_ONCE, count))
                )
            )

    async def round(self, guests: list[LiveGuest], wish: Callable[[], Wish]) -> int:
        """Let guests search; those who meet part, the others give up. Return how many have met, in pairs."""
        matchmaking, rooms = self._assembly.matchmaking, self._assembly.rooms
        await asyncio.gather(*(matchmaking.search(guest, wish()) for guest in guests))
        await asyncio.sleep(0)
        pairs = sum(guest.member is not None for guest in guests) // 2
        await asyncio.gather(*(matchmaking.cancel(guest) for guest in guests if guest.ticket is not None))
        for guest in guests:
            rooms.leave(guest, "user_left")
        return pairs


@asynccontextmanager
async def _house(url: str | None) -> "AsyncIterator[House]":
    settings = Settings(
        jwt_secret="x" * 32,
        redis_url=url,
        match_interests=WAITED,
        match_again=0,
        sessions_limit=10_000_000,
    )
    clock = SystemClock()
    background = Background(clock)
    assembly = Assembly(
        settings, clock, adapters(settings, clock, background), background, lambda _event, _guests: None
    )
    assembly.start()
    await assembly.ready()
    try:
        yield House(assembly, random.Random(1))
    finally:
        await assembly.stop()


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Measure matches in memory, and in Redis with its share."""
    if passerby is None:
        return []
    rows: list[Row] = []
    async with running() as store:
        for where, url, bar in (("memory", None, MEMORY_BAR), ("Redis", store.url, REDIS_BAR)):
            with no_garbage_collection():
                async with _house(url) as house:
                    rows += await _rows(plan, house, where, bar, None if url is None else store.pid)
    return rows


async def _rows(plan: Plan, house: House, where: str, bar: Bar, redis: int | None) -> list[Row]:
    await house.fill(plan.waiting)
    guests = [house.newcomer() for _ in range(AT_ONCE)]
    kinds: dict[str, Callable[[], Wish]] = {"wishes": house.usual, "none": Wish}
    costs: dict[str, list[float]] = {kind: [] for kind in kinds}
    for kind, wish in [*kinds.items()] * plan.wish_turns:
        began = time.process_time() + (cpu_clock(redis) if redis is not None else 0.0)
        matches = 0
        while matches < plan.wish_matches:
            matches += await house.round(guests, wish)
        spent = time.process_time() + (cpu_clock(redis) if redis is not None else 0.0) - began
        costs[kind].append(spent / matches)
    ratio = statistics.median(one / other for one, other in zip(costs["wishes"], costs["none"], strict=True))
    ms = {kind: statistics.median(values) * 1e3 for kind, values in costs.items()}
    values = {f"{kind}_{turn}": cost for kind, of in costs.items() for turn, cost in enumerate(of)}
    share = " and Redis' CPU" if redis is not None else ""
    return [
        Row(
            f"CPU per match, 5 interests each, {plan.waiting} waiting, {where}",
            f"{ms['wishes']:.3f} ms",
            f"all services without sockets{share}",
            ms["wishes"],
            bar,
            values,
        ),
        Row("  against matches without wishes", f"{ms['wishes']:.3f} ms", f"{ms['none']:.3f} ms", ratio, RATIO_BAR, {}),
    ]
