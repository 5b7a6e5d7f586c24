"""What it costs to be watched: relays with metrics and a full log, against relays without; and a scrape of many."""

import asyncio
import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from benchmarks import idle, relays
from benchmarks.guests import Guest, check, join, join_many
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import ADDRESS, MeasurementError, Passerby, free_port
from benchmarks.talk import Load
from benchmarks.turns import OURS, Builds

OFF = "no metrics, a quiet log"
RELAYS_BAR = Bar(at_least=0.97)
SCRAPE_BAR = Bar(at_most=20, unit="ms")
TURN_BAR = Bar(at_most=5, unit="ms")
SCRAPE_EVERY = 5.0
"""Seconds between two scrapes beside relays: three times as often as Prometheus does unless told otherwise."""
OFTEN = 0.2
"""Seconds between two scrapes of a server whose guests are idle."""


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let the same build take turns with and without it; then ask one with many guests."""
    if passerby is None:
        return []
    return [await _relays(plan, passerby), *await _scrapes(plan, passerby)]


def _watched(passerby: Passerby, port: int) -> Passerby:
    return passerby.with_settings(METRICS_PORT=str(port), LOG_LEVEL="info", LOG_FORMAT="json")


async def _relays(plan: Plan, passerby: Passerby) -> Row:
    loads: dict[str, list[Load]] = defaultdict(list)
    for number in range(plan.stored_starts):
        port = free_port()
        with Builds(_watched(passerby, port), passerby, OFF).up(number) as servers:
            async with _scraped(port, SCRAPE_EVERY):
                houses = {name: await relays.fill(plan, server) for name, server in servers.items()}
                for name, more in (await relays.talk_in_turns(plan, houses)).items():
                    loads[name] += more
    assert loads[OURS]
    return relays.row(OFF, RELAYS_BAR, loads)


async def _scrapes(plan: Plan, passerby: Passerby) -> list[Row]:
    port = free_port()
    settings = {"STATS_INTERVAL": idle.NEVER, "PING_INTERVAL": str(plan.idle_window / idle.HEARTBEATS)}
    with _watched(passerby, port).with_settings(**settings)() as server:
        guests = await join_many(server, Guest, plan.idle_guests)
        probe = await join(server, idle.Probe)
        await asyncio.sleep(idle.SETTLE_SECONDS)
        async with _scraped(port, OFTEN) as scrapes:
            rest = await idle.watch(server, probe, plan.scrape_window)
        check([*guests, probe])
        for guest in (*guests, probe):
            guest.leave()
    times = scrapes.milliseconds
    what = f"{plan.idle_guests:,} guests"
    return [
        Row(
            f"scrape of /metrics, {what}",
            f"{statistics.median(times):.1f} ms, at most {max(times):.1f} ms",
            f"{len(times)} scrapes of {scrapes.size / 1000:.0f} kB",
            statistics.median(times),
            SCRAPE_BAR,
            values={f"scrape_{number}_ms": one for number, one in enumerate(times)},
        ),
        Row(
            f"longest turn of the loop meanwhile, {what}",
            f"{rest.longest_work:.1f} ms of CPU",
            f"{rest.longest_wait:.1f} ms on the clock",
            rest.longest_work,
            TURN_BAR,
            values={"cpu_ms": rest.longest_work, "wall_ms": rest.longest_wait},
        ),
    ]


@dataclass
class Scrapes:
    """How long each took, and the bytes of the last one."""

    milliseconds: list[float]
    size: int = 0


@contextlib.asynccontextmanager
async def _scraped(port: int, every: float) -> AsyncIterator[Scrapes]:
    """Scrape every `every` seconds meanwhile, and at least once."""
    scrapes = Scrapes([])
    await _scrape(port, scrapes)

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every)
            await _scrape(port, scrapes)

    going = asyncio.ensure_future(go_on())
    try:
        yield scrapes
    finally:
        going.cancel()
        if going.done() and not going.cancelled():
            await going  # raises what ended it


async def _scrape(port: int, scrapes: Scrapes) -> None:
    began = time.perf_counter()
    answer = await read_metrics(port)
    scrapes.milliseconds.append((time.perf_counter() - began) * 1000)
    scrapes.size = len(answer)


async def read_metrics(port: int) -> bytes:
    """Return an answer of /metrics, headers included."""
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    try:
        writer.write(f"GET /metrics HTTP/1.1\r\nHost: {ADDRESS}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200 ") or b"passerby_messages_total" not in answer:
        raise MeasurementError(f"no metrics: {answer[:200].decode(errors='replace')}")
    return answer
