"""The queue in Redis with many who wait: matches a second, how long one takes, what it costs to renew all."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator

import msgspec

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Start, cpu_clock
from benchmarks.stores import running
from benchmarks.talk import no_garbage_collection
from passerby.background import Background
from passerby.clock import SystemClock
from passerby.matching.matchmaking import RENEWAL
from passerby.matching.places import position, stands
from passerby.matching.queue_redis import LEASE, RedisMatchQueue
from passerby.matching.stages import OPEN
from passerby.models import Ticket, Wish
from passerby.redis.client import Part, Redis
from tests.support.valkey import connected

RATE_BAR = Bar(at_least=10_000, unit="a second")
LATENCY_BAR = Bar(at_most=5, unit="ms")
IN_FLIGHT = 32
"""Searches that enter at once, to find the peak: so many guests in one turn of a busy server's event loop."""
BATCH = 500
"""Tickets that are written with one command, while the crowd is made."""
EVERY = 0.001
"""Seconds between two looks at how late the event loop is."""


class Crowd:
    """Guests who wait in Redis, more than could meet by ``enter``, and the queue."""

    def __init__(self, redis: Redis, size: int) -> None:
        """Nobody waits before ``fill``."""
        self.redis = redis
        self.size = size
        self.queue = RedisMatchQueue(redis, SystemClock(), Background(SystemClock()))
        self.waiting: dict[str, Ticket] = {}
        self.numbers = itertools.count()

    def newcomer(self) -> Ticket:
        """Return the ticket of a guest who has not entered yet."""
        number = next(self.numbers)
        return Ticket(f"ticket_0123456789abcdef_{number:x}", f"guest_{number:020x}", time.time())

    async def fill(self, extra: int) -> None:
        """Let guests wait until there are ``extra`` more than the crowd's size."""
        seconds, _ = await self.redis.command("TIME")  # type: ignore[misc]  # a list of two
        lease = 1000 * int(seconds) + 1000 * 60 * LEASE  # type: ignore[arg-type]
        key = self.redis.key
        while len(self.waiting) < self.size + extra:
            batch = [self.newcomer() for _ in range(BATCH)]
            guests = [ticket.guest_id for ticket in batch]
            encoded: list[Part] = []
            scores: list[Part] = []
            names = [f"*{name}" for name in stands(Wish(), OPEN)]
            for ticket in batch:
                encoded += (ticket.guest_id, msgspec.json.encode(ticket))
                scores += (lease, ticket.guest_id)
            await self.redis.command("HSET", key("{mm}:tickets"), *encoded)
            await self.redis.command("ZADD", key("{mm}:leases"), *scores)
            await self.redis.command("SADD", key("{mm}:waiting"), *guests)
            await self.redis.command("HSET", key("{mm}:places"), *_pairs(guests, "\n".join(["1", *names])))
            for name in names:
                positions = [part for ticket in batch for part in (f"{position(ticket):.4f}", ticket.guest_id)]
                await self.redis.command("ZADD", key(f"{{mm}}:places:{name}"), *positions)
            self.waiting |= {ticket.guest_id: ticket for ticket in batch}

    async def match(self) -> float:
        """Let one more guest enter, and the two get a room; return the seconds until the partner is known."""
        ticket = self.newcomer()
        began = time.perf_counter()
        found = await self.queue.enter(ticket)
        seconds = time.perf_counter() - began
        assert found is not None, "somebody waits"
        assert self.waiting.pop(found.guest_id) == found, "nobody is found twice"
        self.queue.forget(ticket, found)
        return seconds


def _pairs(guests: list[str], value: str) -> list[str]:
    return [part for guest in guests for part in (guest, value)]


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Fill the queue; match as fast as possible; then at a rate, while all who wait are renewed."""
    if passerby is None:
        return []
    async with running() as server, connected(server.url) as redis:
        with no_garbage_collection():
            crowd = Crowd(redis, plan.waiting)
            rates, costs = [], []
            await redis.command("CONFIG", "RESETSTAT")
            for _ in range(plan.queue_rounds):
                await crowd.fill(plan.queue_matches)
                cpu = cpu_clock(server.pid)
                rates.append(await _peak(crowd, plan.queue_matches))
                costs.append((cpu_clock(server.pid) - cpu) / plan.queue_matches)
            script = await _script_p99(redis)
            times, gaps, renewals = await _beside_renewals(crowd, plan)
    rate, cost = statistics.median(rates), statistics.median(costs)
    cuts = statistics.quantiles(times, n=100)
    p50, p99 = cuts[49], cuts[98]
    return [
        Row(
            what=f"matches in Redis, {plan.waiting} waiting",
            passerby=f"{rate:,.0f} a second, Redis' CPU {cost * 1e6:.0f} us each",
            beside=f"a script in Redis, p99: {script:.0f} us",
            result=rate,
            bar=RATE_BAR,
            values={f"round {number}": value for number, value in enumerate(rates, 1)}
            | {"redis_us": cost * 1e6, "script_p99_us": script},
        ),
        Row(
            what=f"a match at {plan.queue_rate:.0f} a second, while {plan.waiting} are renewed, p99",
            passerby=f"p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms",
            beside=f"renewal {statistics.median(renewals):.2f} s, longest turn {max(gaps) * 1e3:.0f} ms",
            result=p99 * 1e3,
            bar=LATENCY_BAR,
            values={"p50": p50, "p99": p99, "longest turn": max(gaps), "renewal": statistics.median(renewals)},
        ),
    ]


async def _peak(crowd: Crowd, matches: int) -> float:
    """Return the matches a second of ``IN_FLIGHT`` guests at a time."""

    async def go_on(share: int) -> None:
        for _ in range(share):
            await crowd.match()

    began = time.perf_counter()
    await asyncio.gather(*(go_on(matches // IN_FLIGHT) for _ in range(IN_FLIGHT)))
    return matches // IN_FLIGHT * IN_FLIGHT / (time.perf_counter() - began)


async def _script_p99(redis: Redis) -> float:
    """Return the microseconds that one of 100 runs of a script takes longer than, by Redis' own statistics."""
    text = await redis.command("INFO", "latencystats")
    assert isinstance(text, bytes)
    line = next(line for line in text.decode().splitlines() if line.startswith("latency_percentiles_usec_evalsha:"))
    return float(line.partition("p99=")[2].partition(",")[0])


async def _beside_renewals(crowd: Crowd, plan: Plan) -> tuple[list[float], list[float], list[float]]:
    """Match at a fixed rate; return what each took from when it was due, the loop's gaps, and the renewals' seconds."""
    await crowd.fill(int(plan.queue_rate * plan.queue_window))
    renewals: list[float] = []
    gaps: list[float] = []

    async def renew() -> None:
        while True:
            began = time.perf_counter()
            tickets: Iterator[Ticket] = iter(list(crowd.waiting.values()))
            lost = await crowd.queue.renew(ticket for ticket in tickets if ticket.guest_id in crowd.waiting)
            assert not lost, "all wait"
            renewals.append(time.perf_counter() - began)
            await asyncio.sleep(RENEWAL)

    async def watch() -> None:
        while True:
            due = time.perf_counter() + EVERY
            await asyncio.sleep(EVERY)
            gaps.append(time.perf_counter() - due)

    async def match(due: float) -> float:
        await crowd.match()
        return time.perf_counter() - due

    beside = [asyncio.create_task(renew()), asyncio.create_task(watch())]
    running = []
    began = time.perf_counter()
    for number in range(int(plan.queue_rate * plan.queue_window)):
        due = began + number / plan.queue_rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(match(due)))
    times = await asyncio.gather(*running)
    for task in beside:
        task.cancel()
    return times, gaps, renewals
