"""What it costs to keep the sessions of guests alive who do nothing."""

import asyncio
import time
from dataclasses import dataclass, replace

from picows import WSFrame, WSMsgType, WSTransport

from benchmarks.guests import ANSWER_SECONDS, Guest, check, join, join_many
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Passerby, Server, cpu_clock
from benchmarks.stores import running

REFRESH_BAR = Bar(at_most=3, unit="% of a core")
TURN_BAR = Bar(at_most=20, unit="ms")
RARELY = "1700"
"""Seconds, as REFRESH_INTERVAL: RENEW_BEFORE must be longer, and is 1800."""
NEVER = "1000000"
SETTLE_SECONDS = 3.0
HEARTBEATS = 3
"""In one window: a whole number, so that both windows have as many of each guest."""


class Probe(Guest):
    """Asks the server for a sign of life, as often as it gets one."""

    def __init__(self, token: str | None) -> None:
        """Connect without asking."""
        super().__init__(token)
        self.answered = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Tell of a PONG; other frames are handled as usual."""
        if frame.msg_type is WSMsgType.PONG:
            self.answered.set()
        else:
            super().on_ws_frame(transport, frame)


@dataclass(frozen=True)
class Rest:
    """What a server did while nobody did anything."""

    share: float
    """CPU, in per cent of a core."""
    longest_work: float
    """Milliseconds of CPU while a probe waited, at most: no turn of the event loop took more."""
    longest_wait: float
    """Milliseconds of real time for the same; a shared machine's pauses are in it."""
    written: int = 0
    """Sessions that Valkey was given."""


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Hold a server that refreshes sessions against one that hardly does."""
    if passerby is None:
        return []
    refreshing = await _rest(plan, passerby, str(plan.idle_window), plan.idle_window)
    resting = await _rest(plan, passerby, RARELY, SETTLE_SECONDS)
    guests = f"{plan.idle_guests:,} idle guests"
    return [
        Row(
            f"CPU to refresh the sessions of {guests}",
            f"{refreshing.share:.2f} % of a core in all, {refreshing.written:,} written",
            f"{resting.share:.2f} % without, {resting.written:,} written",
            refreshing.share - resting.share,
            REFRESH_BAR,
            values={"refreshing": refreshing.share, "resting": resting.share},
        ),
        Row(
            f"longest turn of the event loop, {guests}",
            f"{refreshing.longest_work:.1f} ms of CPU",
            f"{refreshing.longest_wait:.1f} ms on the clock",
            refreshing.longest_work,
            TURN_BAR,
            values={"cpu_ms": refreshing.longest_work, "wall_ms": refreshing.longest_wait},
        ),
    ]


async def _rest(plan: Plan, passerby: Passerby, refresh_interval: str, settle: float) -> Rest:
    """Measure after `settle` seconds: the first refresh of a session is an interval after it began."""
    async with running() as store:
        with passerby.with_settings(
            REDIS_URL=store.url,
            REFRESH_INTERVAL=refresh_interval,
            PING_INTERVAL=str(plan.idle_window / HEARTBEATS),
            STATS_INTERVAL=NEVER,  # statistics of those who have just joined would still be sent
        )() as server:
            guests = await join_many(server, Guest, plan.idle_guests)
            probe = await join(server, Probe)
            await asyncio.sleep(settle)
            written = (await store.command_stats())["setex"]
            rest = await watch(server, probe, plan.idle_window)
            written = (await store.command_stats())["setex"] - written
            check([*guests, probe])
            for guest in (*guests, probe):
                guest.leave()
    return replace(rest, written=written)


async def watch(server: Server, probe: Probe, seconds: float) -> Rest:
    """Ask every millisecond how long the server takes to answer, and how much it works meanwhile."""
    work = wait = 0.0
    pid = server.process.pid
    began, before = time.perf_counter(), cpu_clock(pid)
    async with asyncio.timeout(seconds + ANSWER_SECONDS):
        while time.perf_counter() < began + seconds:
            probe.answered.clear()
            asked, worked = time.perf_counter(), cpu_clock(pid)
            probe.transport.send_ping()
            await probe.answered.wait()
            work = max(work, cpu_clock(pid) - worked)
            wait = max(wait, time.perf_counter() - asked)
            await asyncio.sleep(0.001)
    share = (cpu_clock(pid) - before) / (time.perf_counter() - began)
    return Rest(share * 100, work * 1000, wait * 1000)
