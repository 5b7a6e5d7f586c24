"""What it costs the server to keep its state in Redis: for a message, to join, to match."""

from dataclasses import replace

from benchmarks import crowds, relays
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Passerby, cpu_clock
from benchmarks.stores import running
from benchmarks.turns import OURS, Builds

MEMORY = "memory alone"
RELAYS_BAR = Bar(at_least=round(1 / 1.4, 3))
CROWDS_BAR = Bar(at_most=1.5)


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Let the same build take turns with and without Redis."""
    if passerby is None:
        return []
    rows: list[Row] = []
    async with running() as store:
        builds = Builds(passerby.with_settings(REDIS_URL=store.url), passerby, MEMORY)
        with builds.up(0) as servers:
            houses = {name: await relays.fill(plan, server) for name, server in servers.items()}
            talkers = houses[OURS].talkers
            said, before = sum(talker.said for talker in talkers), cpu_clock(store.pid)
            loads = await relays.talk_in_turns(plan, houses)
            said, cpu = sum(talker.said for talker in talkers) - said, cpu_clock(store.pid) - before
        own = Row("  Valkey's own CPU for a relay", f"{cpu / said * 1e6:.1f} us", "", values={"us": cpu / said * 1e6})
        rows += [relays.row(MEMORY, RELAYS_BAR, loads), own]
    async with running() as store:
        builds = Builds(passerby.with_settings(REDIS_URL=store.url), passerby, MEMORY)
        rows += await crowds.compare(replace(plan, starts=1), builds, CROWDS_BAR)
    return rows
