"""Relays per CPU-second, beside Socket.IO on Node and raw picows, or beside another build."""

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import FrameSizes, Server, Start, picows_relay, socketio_relay
from benchmarks.talk import Load, Talker, closed_loop, frame_sizes, seat
from benchmarks.turns import OTHER, OURS, Builds, median_ratio, take_turns

SOCKETIO_BAR = Bar(at_least=2.2)
PICOWS_BAR = Bar(at_least=0.7)
BUILD_BAR = Bar(at_least=0.97)


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Have all servers up at once and let them take turns, so that each turn's ratio is of the same seconds."""
    with contextlib.ExitStack() as running:
        sizes = FrameSizes()
        houses: dict[str, House] = {}
        if passerby is not None:
            houses[OURS] = await fill(plan, running.enter_context(passerby()))
            sizes = frame_sizes(houses[OURS].talkers)
        houses["socket.io"] = await fill(plan, running.enter_context(socketio_relay()))
        houses["picows"] = await fill(plan, running.enter_context(picows_relay(sizes)))
        loads = await talk_in_turns(plan, houses)
    rows = [row("socket.io", SOCKETIO_BAR, loads), row("picows", PICOWS_BAR, loads)]
    frames = f"{sizes.message} + {sizes.delivered} + {sizes.sent} B"
    rows.append(Row("  payloads of one relay", frames, "picows: the same"))
    return rows


async def compare(plan: Plan, builds: Builds) -> list[Row]:
    """Let two builds take turns in the same way, and again in new processes."""
    loads: dict[str, list[Load]] = defaultdict(list)
    for number in range(plan.starts):
        with builds.up(number) as servers:
            houses = {name: await fill(plan, server) for name, server in servers.items()}
            for name, more in (await talk_in_turns(plan, houses)).items():
                loads[name] += more
    return [row(OTHER, BUILD_BAR, loads)]


@dataclass(frozen=True)
class House:
    """A server with its guests."""

    server: Server
    talkers: Sequence[Talker]


async def fill(plan: Plan, server: Server) -> House:
    """Bring guests in and let them talk until the server is warm."""
    house = House(server, await seat(server, Talker, plan.pairs, client_ids=plan.client_ids))
    await _turn(plan.warm_up, plan.window, house)
    return house


async def talk_in_turns(plan: Plan, houses: Mapping[str, House]) -> dict[str, list[Load]]:
    """Return the load of each turn; then the guests leave."""
    loads = await take_turns(houses, plan.turns, partial(_turn, plan.turn_warm_up, plan.turn))
    for house in houses.values():
        for talker in house.talkers:
            talker.leave()
    return loads


async def _turn(warm_up: float, window: float, house: House) -> Load:
    return await closed_loop(house.server, house.talkers, warm_up, window)


def row(name: str, bar: Bar, loads: Mapping[str, Sequence[Load]]) -> Row:
    """Hold ours against the other of this name."""
    per_second = {side: [load.relays_per_cpu_second for load in loads.get(side, ())] for side in (name, OURS)}
    return Row(
        what=f"relays per CPU-second, against {name}",
        passerby=_summary(loads.get(OURS, ())),
        beside=_summary(loads[name]),
        result=median_ratio(per_second[OURS], per_second[name]) if per_second[OURS] else None,
        bar=bar,
        values={f"{side}_{turn}": value for side, values in per_second.items() for turn, value in enumerate(values)},
    )


def _summary(loads: Sequence[Load]) -> str:
    if not loads:
        return "not run"
    median = statistics.median(load.relays_per_cpu_second for load in loads)
    share = statistics.median(load.utilisation for load in loads)
    return f"{median:,.0f} (at {share:.0%} of its core)"
