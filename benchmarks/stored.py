"""What it costs the server to keep its state in Redis: for a message, to join, to match."""

from collections import defaultdict
from dataclasses import replace

from benchmarks import crowds, relays
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Passerby, cpu_clock
from benchmarks.stores import running
from benchmarks.talk import Load
from benchmarks.turns import OURS, Builds

MEMORY = "memory alone"
RELAYS_BAR = Bar(at_least=round(1 / 1.4, 3))
CROWDS_BAR = Bar(at_most=1.5)


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let the same build take turns with and without Redis."""
    if passerby is None:
        return []
    starts = plan.stored_starts
    rows = await _relays(replace(plan, starts=starts, turns=plan.turns // starts), passerby)
    few = replace(plan, starts=starts, rounds=max(1, plan.rounds // starts), match_turns=plan.match_turns // starts)
    async with running() as store:
        builds = Builds(passerby.with_settings(REDIS_URL=store.url), passerby, MEMORY)
        rows += await crowds.compare(few, builds, CROWDS_BAR)
    return rows


async def _relays(plan: Plan, passerby: Passerby) -> list[Row]:
    loads: dict[str, list[Load]] = defaultdict(list)
    said, cpu = 0, 0.0
    for number in range(plan.starts):
        async with running() as store:
            builds = Builds(passerby.with_settings(REDIS_URL=store.url), passerby, MEMORY)
            with builds.up(number) as servers:
                houses = {name: await relays.fill(plan, server) for name, server in servers.items()}
                talkers = houses[OURS].talkers
                said -= sum(talker.said for talker in talkers)
                cpu -= cpu_clock(store.pid)
                for name, more in (await relays.talk_in_turns(plan, houses)).items():
                    loads[name] += more
                said += sum(talker.said for talker in talkers)
                cpu += cpu_clock(store.pid)
    own = cpu / said * 1e6
    return [
        relays.row(MEMORY, RELAYS_BAR, loads),
        Row("  Valkey's own CPU for a relay", f"{own:.1f} us", "", values={"us": own}),
    ]
