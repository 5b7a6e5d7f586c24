"""Relays per CPU second, compared with Socket.IO on Node and raw picows."""

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import FrameSizes, Server, Start, picows_relay, socketio_relay
from benchmarks.talk import Load, Talker, closed_loop, frame_sizes, seat

SOCKETIO_BAR = Bar(at_least=2.2)
PICOWS_BAR = Bar(at_least=0.7)


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Run all servers and let them take turns, so that each ratio compares turns that are close in time."""
    async with contextlib.AsyncExitStack() as stack:
        bars = {"socket.io": SOCKETIO_BAR, "picows": PICOWS_BAR}
        sizes = FrameSizes()
        houses: dict[str, House] = {}
        if passerby is not None:
            houses["passerby"] = await _fill(plan, stack.enter_context(passerby()))
            await _turn(houses["passerby"], plan.warm_up, plan.window)
            sizes = frame_sizes(houses["passerby"].talkers)
        houses["socket.io"] = await _fill(plan, stack.enter_context(socketio_relay()))
        houses["picows"] = await _fill(plan, stack.enter_context(picows_relay(sizes)))
        for house in houses.values():
            await _turn(house, plan.warm_up, plan.window)
        loads: dict[str, list[Load]] = defaultdict(list)
        for _ in range(plan.turns):
            for name, house in houses.items():
                loads[name].append(await _turn(house, plan.turn_warm_up, plan.turn))
        for house in houses.values():
            for talker in house.talkers:
                talker.leave()
    rows = [_row(name, bar, loads["passerby"], loads[name]) for name, bar in bars.items()]
    frames = f"{sizes.message} + {sizes.delivered} + {sizes.sent} B"
    rows.append(Row("  payloads of one relay", frames, "picows: the same"))
    return rows


@dataclass(frozen=True)
class House:
    """A server with its guests."""

    server: Server
    talkers: Sequence[Talker]


async def _fill(plan: Plan, server: Server) -> House:
    return House(server, await seat(server, Talker, plan.pairs, client_ids=plan.client_ids))


async def _turn(house: House, warm_up: float, window: float) -> Load:
    return await closed_loop(house.server, house.talkers, warm_up, window)


def _row(name: str, bar: Bar, ours: Sequence[Load], theirs: Sequence[Load]) -> Row:
    ratios = [our.relays_per_cpu_second / their.relays_per_cpu_second for our, their in zip(ours, theirs, strict=False)]
    values = {f"{name}_{round_}": load.relays_per_cpu_second for round_, load in enumerate(theirs)}
    values |= {f"passerby_{round_}": load.relays_per_cpu_second for round_, load in enumerate(ours)}
    return Row(
        what=f"relays per CPU-second, against {name}",
        passerby=_summary(ours),
        beside=_summary(theirs),
        result=statistics.median(ratios) if ratios else None,
        bar=bar,
        values=values,
    )


def _summary(loads: Sequence[Load]) -> str:
    if not loads:
        return "not run"
    median = statistics.median(load.relays_per_cpu_second for load in loads)
    share = statistics.median(load.utilisation for load in loads)
    return f"{median:,.0f} (at {share:.0%} of its core)"
