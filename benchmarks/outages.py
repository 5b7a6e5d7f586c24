"""What the guests notice when the server is killed, and when Redis fails: seconds, but no message."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.guests import admit, next_address, request
from benchmarks.machine import dropped_packets
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, MeasurementError, Passerby, Server
from benchmarks.stores import pin, running
from tests.support.lasting import Account, Company, Trip, percentile
from tests.support.valkey import Valkey

NONE_BAR = Bar(at_most=0, unit="")
RESTART_BAR = Bar(at_most=5, unit="s")
NOTICED_BAR = Bar(at_most=3, unit="s")
NORMAL_BAR = Bar(at_most=5, unit="s")
DELAY_BAR = Bar(at_most=50, unit="ms")

SETTLE_SECONDS = 60.0
"""Maximum time until everything that was said has arrived."""
RESTARTS = 4
"""Maximum number of restarts until the kernel drops no packet."""
STATE_SECONDS = 30.0
"""Maximum time until the server says what it must say of Redis."""
ASK_EVERY = 0.02
DOWN_SECONDS = 4.0
"""Time until a killed Redis is started again: longer than it may take to be noticed."""
IN_FLIGHT = 0.1
"""Seconds before a switch in which a message may have been said and be held up by it."""
REDIS_FIELD = "redis"
"""The part of `GET /api/socket/stats` that tells how Redis fares: `state`, and how often each state has begun."""


@dataclass(frozen=True)
class Stage:
    """A server with its state in Valkey, and pairs of guests who are in their rooms."""

    server: Server
    store: Valkey
    company: Company


@contextlib.asynccontextmanager
async def _stage(passerby: Passerby, pairs: int) -> AsyncIterator[Stage]:
    async with running() as store:
        with passerby.with_settings(REDIS_URL=store.url)() as server:
            async with Company(f"http://{ADDRESS}:{server.port}") as company:
                await _until_normal(server, 0)
                await company.meet(await admit(server, 2 * pairs), (next_address() for _ in range(2 * pairs)))
                yield Stage(server, store, company)


# ── the server is killed ──────────────────────────────────────────────────────────────────────────


async def kills(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Kill the server again and again while pairs talk."""
    if passerby is None:
        return []
    async with _stage(passerby, plan.outage_pairs) as stage:
        company, number = stage.company, 0
        company.listen()
        talking = asyncio.create_task(company.talk(plan.outage_messages, plan.outage_rate))
        while not (await asyncio.wait([talking], timeout=plan.outage_every))[0]:
            stage.server.kill()
            stage.server.revive()
            number += 1
        await talking
        account = await company.settle(SETTLE_SECONDS)
        silences = [client.silence for client in company.clients]
    pairs = f"{plan.outage_pairs} pairs, {plan.outage_rate:,.0f}/s, killed every {plan.outage_every:g} s"
    longest = Row(
        "  longest outage of a pair",
        f"{max(silences):.2f} s, median {percentile(silences, 0.5):.2f} s",
        "between two messages to a guest",
        values={f"guest_{guest}": silence for guest, silence in enumerate(silences)},
    )
    return [*account_rows(f"{number} kills", pairs, company, account), longest]


def account_rows(what: str, remark: str, company: Company, account: Account) -> list[Row]:
    said = f"{account.heard:,} of {account.said:,} received"
    lost = account.lost + account.unanswered + account.refused + account.missed
    told = f"{account.undelivered} told undelivered, {account.repeated} dropped as repeated"
    faults = company.happenings.faults
    return [
        Row(f"messages lost, {what}", said, remark, lost, NONE_BAR, values=asdict(account)),
        Row(f"messages doubled, {what}", said, told, account.doubled, NONE_BAR),
        Row(f"messages out of order, {what}", said, told, account.disordered, NONE_BAR),
        Row(
            f"rooms ended and guests refused, {what}",
            f"{company.happenings.losses:,} lost connections",
            ", ".join(f"{fault}: {count}" for fault, count in faults.items()),
            account.ended + faults.total(),
            NONE_BAR,
        ),
    ]


async def restart(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Kill and start the server with many rooms; wait until each guest has heard something of the partner.

    A kernel whose backlog is full drops some of the thousands of packets that tell the clients of the kill at once, on
    one machine. They learn of it late, which is no fault of the server: then it is measured again.
    """
    if passerby is None:
        return []
    rows: list[Row] = []
    for attempt in range(1, RESTARTS + 1):
        before = dropped_packets()
        rows = await _restart(plan, passerby)
        dropped = dropped_packets() - before
        rows.append(
            Row(
                "  packets that the kernel dropped",
                f"{dropped}",
                f"restart {attempt} of at most {RESTARTS}",
                values={"packets": dropped},
            )
        )
        if not dropped:
            break
    return rows


async def _restart(plan: Plan, passerby: Passerby) -> list[Row]:
    async with _stage(passerby, plan.restart_pairs) as stage:
        company, loop = stage.company, asyncio.get_running_loop()
        for client in company.clients:
            client.say()
        await company.until(lambda: company.happenings.heard == len(company.clients))
        before = await _pace(company, plan, plan.calm)

        company.listen()
        began = loop.time()
        stage.server.kill()
        stage.server.revive()
        for client in company.clients:
            client.say()
        chatting = asyncio.create_task(chat(company, plan.restart_rate))
        first = 0.0
        with contextlib.suppress(TimeoutError):  # the rows tell
            await company.until(lambda: company.happenings.returns > 0, SETTLE_SECONDS)
            first = loop.time() - began
            await company.until(lambda: company.happenings.listeners == len(company.clients), SETTLE_SECONDS)
        seconds = loop.time() - began
        chatting.cancel()
        account = await company.settle(SETTLE_SECONDS)
        trips = [trip.seconds * 1000 for trip in company.happenings.trips if trip.said > began]
    guests = 2 * plan.restart_pairs
    return [
        Row(
            f"restart with {guests:,} guests: until all pairs talk again",
            f"{seconds:.2f} s after the kill",
            f"the first guest is back after {first:.2f} s",
            seconds,
            RESTART_BAR,
            values={"seconds": seconds, "first_seconds": first},
        ),
        Row(
            "  p50 / p99 of those who talk meanwhile",
            f"{percentile(trips, 0.5):.1f} / {percentile(trips, 0.99):.1f} ms",
            f"{before} before, {plan.restart_rate:,.0f}/s",
            values={f"trip_{number}_ms": trip for number, trip in enumerate(trips)},
        ),
        *account_rows("restart", f"{guests:,} guests", company, account),
    ]


async def _pace(company: Company, plan: Plan, seconds: float) -> str:
    """Return p50 / p99 of round trips while nothing happens."""
    company.happenings.trips.clear()
    chatting = asyncio.create_task(chat(company, plan.restart_rate))
    await asyncio.sleep(seconds)
    chatting.cancel()
    await company.settle(SETTLE_SECONDS)
    trips = [trip.seconds * 1000 for trip in company.happenings.trips]
    return f"{percentile(trips, 0.5):.1f} / {percentile(trips, 0.99):.1f} ms"


async def chat(company: Company, rate: float) -> None:
    """Let somebody say something, `rate` times a second, of those who are in their room and whose partner is too."""
    loop, chance = asyncio.get_running_loop(), random.Random(0)
    due = loop.time()
    while True:
        due += 1 / rate
        await asyncio.sleep(due - loop.time())
        client = chance.choice(company.clients)
        if client.is_ready and client.partner is not None and client.partner.is_ready:
            client.say()


# ── Redis fails ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Switch:
    """The moments of a failure, in seconds of the loop's clock."""

    what: str
    calm: float
    """The beginning of the time before it."""
    failed: float
    noticed: float
    back: float
    normal: float
    end: float
    """The end of the time after it."""

    def concerns(self, trip: Trip) -> bool:
        """Return whether the message was said during one of the two changes, or was under way when it began."""
        changes = (self.failed, self.noticed), (self.back, self.normal)
        return any(begin - IN_FLIGHT <= trip.said <= end for begin, end in changes)

    def row(self, trips: list[Trip]) -> Row:
        """Hold the time outside the changes against the time before."""
        before = [trip.seconds * 1000 for trip in trips if self.calm <= trip.said < self.failed - IN_FLIGHT]
        beside = [
            trip.seconds * 1000 for trip in trips if self.failed <= trip.said <= self.end and not self.concerns(trip)
        ]
        return Row(
            f"p99 of round trips outside the switch, {self.what}",
            f"{percentile(beside, 0.99):.1f} ms of {len(beside):,}",
            f"{percentile(before, 0.99):.1f} ms before",
            percentile(beside, 0.99) - percentile(before, 0.99),
            DELAY_BAR,
            values={"p99_ms": percentile(beside, 0.99), "p99_before_ms": percentile(before, 0.99)},
        )


async def faults(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let Redis fail in three ways while pairs talk."""
    if passerby is None:
        return []
    rows: list[Row] = []
    async with _stage(passerby, plan.fault_pairs) as stage:
        company = stage.company
        losses = company.happenings.losses
        talking = asyncio.create_task(company.talk(1 << 62, plan.fault_rate))
        await asyncio.sleep(plan.calm)  # to warm up
        switches = [await _switch(stage, plan, what, fail) for what, fail in _failures(plan).items()]
        talking.cancel()
        account = await company.settle(SETTLE_SECONDS)
        losses = company.happenings.losses - losses
    for switch in switches:
        noticed, normal = switch.noticed - switch.failed, switch.normal - switch.back
        rows += [
            Row(f"noticed, {switch.what}", f"{noticed:.2f} s", "after the failure", noticed, NOTICED_BAR),
            Row(f"normal again, {switch.what}", f"{normal:.2f} s", "after Redis is back", normal, NORMAL_BAR),
            switch.row(company.happenings.trips),
        ]
    what = "failures of Redis"
    remark = f"{plan.fault_pairs} pairs, {plan.fault_rate:,.0f}/s"
    return [
        *rows,
        Row(f"guests disconnected, {what}", f"of {len(company.clients):,}", remark, losses, NONE_BAR),
        *account_rows(what, remark, company, account),
    ]


def _failures(plan: Plan) -> dict[str, Callable[[Valkey], Awaitable[float]]]:
    """Return the failures by name. Each has happened when it has been called; its end returns when Redis was back."""
    loop = asyncio.get_running_loop()

    async def killed(store: Valkey) -> float:
        store.kill()
        await asyncio.sleep(DOWN_SECONDS)
        await store.start()
        pin(store)
        return loop.time()

    async def flushed(store: Valkey) -> float:
        await store.command("FLUSHALL")
        return loop.time()

    async def swallowed(store: Valkey) -> float:
        store.freeze()
        await asyncio.sleep(plan.hole)
        store.thaw()
        return loop.time()

    return {"Redis killed": killed, "FLUSHALL": flushed, f"black hole of {plan.hole:g} s": swallowed}


async def _switch(stage: Stage, plan: Plan, what: str, fail: Callable[[Valkey], Awaitable[float]]) -> Switch:
    server, loop = stage.server, asyncio.get_running_loop()
    calm = loop.time()
    await asyncio.sleep(plan.calm)
    before = await _redis(server)
    failed = loop.time()
    failing = asyncio.ensure_future(fail(stage.store))
    await _until_redis(server, f"{what}: not noticed", lambda redis: _troubles(redis) > _troubles(before))
    noticed = loop.time()
    back = await failing
    await _until_normal(server, before["normal"])
    normal = loop.time()
    await asyncio.sleep(plan.calm)
    return Switch(what, calm, failed, min(noticed, normal), back, normal, loop.time())


def _troubles(redis: dict[str, Any]) -> int:
    return int(redis["degraded"] + redis["resync"])


async def _until_normal(server: Server, times: int) -> None:
    """Wait until Redis has had everything for more than `times`, and has it now."""
    await _until_redis(server, "not normal", lambda redis: redis["state"] == "normal" and redis["normal"] > times)


async def _until_redis(server: Server, failure: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + STATE_SECONDS
    while not condition(redis := await _redis(server)):
        if time.monotonic() > deadline:
            raise MeasurementError(f"{failure} within {STATE_SECONDS:g} s: {redis}")
        await asyncio.sleep(ASK_EVERY)


async def _redis(server: Server) -> dict[str, Any]:
    """Return how Redis fares, as the server tells it."""
    stats = await request(server, next_address(), "GET", "/api/socket/stats")
    if REDIS_FIELD not in stats:
        raise MeasurementError("this build does not take REDIS_URL")
    redis: dict[str, Any] = stats[REDIS_FIELD]
    return redis
