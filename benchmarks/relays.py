"""Relays per CPU-second, beside Socket.IO on Node and raw picows."""

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import FrameSizes, Server, Start, picows_relay, socketio_relay
from benchmarks.talk import Load, Talker, closed_loop, frame_sizes, seat

SOCKETIO_BAR = Bar(at_least=2.2)
PICOWS_BAR = Bar(at_least=0.7)


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Run each server once a round, one after another, and compare round by round."""
    loads: dict[str, list[Load]] = defaultdict(list)
    sizes = FrameSizes()
    for _ in range(plan.rounds):
        if passerby is not None:
            load, sizes = await _run(plan, passerby())
            loads["passerby"].append(load)
        load, _ = await _run(plan, socketio_relay())
        loads["socket.io"].append(load)
        load, _ = await _run(plan, picows_relay(sizes))
        loads["picows"].append(load)
    bars = {"socket.io": SOCKETIO_BAR, "picows": PICOWS_BAR}
    rows = [_row(name, bar, loads["passerby"], loads[name]) for name, bar in bars.items()]
    frames = f"{sizes.message} + {sizes.delivered} + {sizes.sent} B"
    rows.append(Row("  payloads of one relay", frames, "picows: the same"))
    return rows


async def _run(plan: Plan, starting: contextlib.AbstractContextManager[Server]) -> tuple[Load, FrameSizes]:
    with starting as server:
        talkers = await seat(server, Talker, plan.pairs, client_ids=plan.client_ids)
        load = await closed_loop(server, talkers, plan.warm_up, plan.window)
        for talker in talkers:
            talker.leave()
        return load, frame_sizes(talkers)


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
