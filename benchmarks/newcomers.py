"""Cost of the statistics: bytes received by each guest while all join."""

import asyncio
import time

from benchmarks.guests import Guest, check, join_many
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Start

BYTES_BAR = Bar(at_most=50, unit="KB")


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Let guests join at a constant rate; count the bytes that each has received at the end."""
    if passerby is None:
        return []
    with passerby() as server:
        began = time.perf_counter()
        guests = await join_many(server, Guest, plan.newcomers, plan.newcomers_per_second)
        seconds = time.perf_counter() - began
        await asyncio.sleep(plan.settle)
        check(guests)
        received = [guest.bytes_received / 1000 for guest in guests]
        for guest in guests:
            guest.leave()
    most, mean = max(received), sum(received) / len(received)
    return [
        Row(
            what=f"bytes each of {plan.newcomers} receives while all join",
            passerby=f"most {most:.1f} KB, mean {mean:.1f} KB",
            beside=f"joined in {seconds:.1f} s, counted {plan.settle:.0f} s longer",
            result=most,
            bar=BYTES_BAR,
            values={"most_kb": most, "mean_kb": mean, "seconds": seconds},
        )
    ]
