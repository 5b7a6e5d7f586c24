"""Message latency at half of the peak load, in an open loop."""

import asyncio
import itertools
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from picows import WSFrame, WSTransport

from benchmarks.plan import Plan
from benchmarks.report import Row
from benchmarks.servers import Server, Start, socketio_relay
from benchmarks.talk import MESSAGE, Talker, closed_loop, drain, no_garbage_collection, seat

STAMP_DIGITS = 15
"""Digits of a stamp: microseconds of the monotonic clock, between two marks in the text."""
MARK = b"@"


class TimedTalker(Talker):
    """In timed mode, sends when told to, and records the age of received messages."""

    def __init__(self, token: str | None) -> None:
        """Connect; starts with the closed loop, which finds the peak."""
        super().__init__(token)
        self.ages: array[int] | None = None

    def say_at(self, due: float) -> None:
        """Send a message that contains its due time, in seconds of ``perf_counter``."""
        self.said = number = self.said + 1
        stamp = b"timed by @%015d@ and so on, %%(n)07d" % (due * 1e6)
        packet = self.template.replace(self.content, stamp)
        self.send(packet % {b"n": number})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Read the stamp of a message; other frames are handled as usual."""
        if self.ages is None:
            super().on_ws_frame(transport, frame)
            return
        payload = frame.get_payload_as_bytes()
        if payload.startswith(MESSAGE):
            now = time.perf_counter()
            self.heard += 1
            at = payload.index(MARK) + 1
            self.ages.append(int(now * 1e6) - int(payload[at : at + STAMP_DIGITS]))
        elif payload == b"2" or b":error" in payload[:40]:
            self.on_packet(transport, payload)


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds, at a rate in messages a second."""

    rate: float
    p50: float
    p99: float

    def __str__(self) -> str:
        """Return the text for the table."""
        return f"{self.p50:.2f} / {self.p99:.2f} ms at {self.rate:,.0f}/s"


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Find each server's peak, then measure latency at half of it."""
    with socketio_relay() as server:
        talkers, peak = await _peak(plan, server)
        theirs = await _at_rate(talkers, peak / 2, plan)
        _leave(talkers)
    rows = [Row("latency p50 / p99 at half of its own peak", "not run", str(theirs))]
    if passerby is None:
        return rows
    with passerby() as server:
        talkers, peak = await _peak(plan, server)
        same_rate = await _at_rate(talkers, theirs.rate, plan)
        own_rate = await _at_rate(talkers, peak / 2, plan)
        _leave(talkers)
    return [
        _row("latency p50 / p99 at half of its own peak", own_rate, theirs),
        _row("latency p50 / p99 at half of socket.io's peak", same_rate, theirs),
    ]


def _row(what: str, ours: Latency, theirs: Latency) -> Row:
    values = {"rate": ours.rate, "p50_ms": ours.p50, "p99_ms": ours.p99}
    values |= {f"socket.io_{key}": value for key, value in vars(theirs).items()}
    return Row(what, str(ours), f"{theirs} (socket.io)", values=values)


async def _peak(plan: Plan, server: Server) -> tuple[list[TimedTalker], float]:
    talkers = await seat(server, TimedTalker, plan.pairs, client_ids=plan.client_ids)
    load = await closed_loop(server, talkers, plan.warm_up, plan.window / 2)
    return talkers, load.relays_per_second


async def _at_rate(talkers: Sequence[TimedTalker], rate: float, plan: Plan) -> Latency:
    """Run one window per round; return the one with the median p99."""
    windows = [await open_loop(talkers, rate, plan.latency_window) for _ in range(plan.rounds)]
    return sorted(windows, key=lambda window: window.p99)[len(windows) // 2]


async def open_loop(talkers: Sequence[TimedTalker], rate: float, window: float) -> Latency:
    """Send ``rate`` messages a second, evenly, whether or not the server keeps up.

    A message's age counts from its due time, so delays by a busy server or by this loop are included. The loop
    spins instead of sleeping: timers have a resolution of a millisecond, and the core is not shared.
    """
    for talker in talkers:
        talker.ages = array("q")
    speakers = itertools.cycle(talkers)
    with no_garbage_collection():
        began = time.perf_counter()
        for number in range(int(rate * window)):
            due = began + number / rate
            while time.perf_counter() < due:  # noqa: ASYNC110   (see above)
                await asyncio.sleep(0)
            next(speakers).say_at(due)
        await drain(talkers)
    ages = sorted(age for talker in talkers for age in talker.ages or ())
    return Latency(
        rate=rate,
        p50=ages[len(ages) // 2] / 1000,
        p99=ages[len(ages) * 99 // 100] / 1000,
    )


def _leave(talkers: Sequence[TimedTalker]) -> None:
    for talker in talkers:
        talker.leave()
