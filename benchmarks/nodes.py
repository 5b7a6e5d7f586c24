"""What it costs that guests are on different nodes, and how often they are."""

import asyncio
import contextlib
import json
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.guests import ANSWER_SECONDS, Guest, UnexpectedAnswerError, by_hands, check, join, join_many
from benchmarks.plan import Plan
from benchmarks.relays import House
from benchmarks.report import Bar, Row
from benchmarks.servers import Passerby, Server, cpu_clock
from benchmarks.stores import running
from benchmarks.talk import Load, Talker, closed_loop
from benchmarks.turns import median_ratio, take_turns
from tests.support.valkey import Valkey

NODES_BAR = Bar(at_most=1.6)
WITH_REDIS_BAR = Bar(at_most=1.8)
WITH_LOG_BAR = Bar(at_most=2.2)
IDLE_BAR = Bar(at_most=1.05)
SPREAD_BAR = Bar(at_most=1.3)
SHARE_BAR = Bar(at_least=85, unit="%")
WAIT_BAR = Bar(at_most=0.06, unit="s")

IDLE_NODES = 6
PEERS = 7
WORKERS = 4
PROBES = 8
"""Guests at once who look where they live."""
SEARCHES = 50.0
"""Searches a second."""


@dataclass
class Together(Server):
    """Servers whose CPU is one figure. Guests join at the first."""

    others: Sequence[Server] = ()
    store: Valkey | None = None
    """Its CPU counts too."""

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of all."""
        own = super().cpu_seconds() + sum(server.cpu_seconds() for server in self.others)
        return own + (cpu_clock(self.store.pid) if self.store is not None else 0.0)


def together(servers: Sequence[Server], store: Valkey | None = None) -> Together:
    """Return servers as one."""
    first, *others = servers
    return Together(first.name, first.port, first.process, first.launch, others, store)


async def measure(plan: Plan, passerby: Passerby | None) -> list[Row]:
    """Measure the cost of relays between nodes, of nodes that do nothing, and how many rooms are local."""
    if passerby is None:
        return []
    return [*await _relays(plan, passerby), *await _peers(plan, passerby), *await _shares(plan, passerby)]


# ── relays ────────────────────────────────────────────────────────────────────────────────────────


async def _seat(plan: Plan, here: Server, there: Sequence[Server]) -> list[Talker]:
    """Let pairs meet, one after the other: one of each joins at `here`, and the other at those of `there` in turn."""
    ones = await join_many(here, Talker, plan.pairs)
    others = await by_hands([partial(join, there[number % len(there)], Talker) for number in range(plan.pairs)])
    talkers = [*ones, *others]
    for number, talker in enumerate(talkers):
        talker.introduce(number, client_ids=plan.client_ids)
    for one, other in zip(ones, others, strict=True):
        for talker in (one, other):
            talker.send(b'42["user:match"]')
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(one.paired, other.paired)
    return talkers


async def _turn(warm_up: float, window: float, house: House) -> Load:
    return await closed_loop(house.server, house.talkers, warm_up, window)


async def _in_turns(plan: Plan, houses: dict[str, House]) -> dict[str, list[float]]:
    """Return the CPU seconds of a relay in each turn, by house; then the guests leave."""
    for house in houses.values():
        await _turn(plan.warm_up, plan.window, house)
    loads = await take_turns(houses, plan.turns, partial(_turn, plan.turn_warm_up, plan.turn))
    for house in houses.values():
        for talker in house.talkers:
            talker.leave()
    return {name: [1 / load.relays_per_cpu_second for load in of] for name, of in loads.items()}


def _us(costs: Sequence[float]) -> str:
    return f"{statistics.median(costs) * 1e6:.1f} us"


def _row(what: str, costs: dict[str, list[float]], ours: str, other: str, bar: Bar | None) -> Row:
    values = {f"{name}_{turn}": cost for name in (ours, other) for turn, cost in enumerate(costs[name])}
    result = median_ratio(costs[ours], costs[other])
    return Row(what, _us(costs[ours]), f"{_us(costs[other])} ({other})", result, bar, values)


async def _starting_anew(
    plan: Plan, measure: Callable[[Plan], Awaitable[dict[str, list[float]]]]
) -> dict[str, list[float]]:
    """Measure several times, with new processes: each keeps the luck of its start, some per cent."""
    starts = plan.stored_starts
    costs: dict[str, list[float]] = defaultdict(list)
    for _ in range(starts):
        for name, more in (await measure(replace(plan, turns=plan.turns // starts))).items():
            costs[name] += more
    return costs


async def _relays(plan: Plan, passerby: Passerby) -> list[Row]:
    """Hold a relay between two nodes against one in a node, all with one Valkey, and against one without Redis."""
    costs = await _starting_anew(plan, partial(_between, passerby=passerby))
    return [
        _row("CPU of a relay between two nodes", costs, "two nodes", "one node", NODES_BAR),
        _row("  with Redis' own CPU", costs, "two nodes and Redis", "one node and Redis", WITH_REDIS_BAR),
        _row("  with the log in Redis", costs, "two nodes", "memory alone", WITH_LOG_BAR),
        _row("  the same with Redis' own CPU", costs, "two nodes and Redis", "memory alone", None),
    ]


async def _between(plan: Plan, passerby: Passerby) -> dict[str, list[float]]:
    """Start all anew, and return the CPU seconds of a relay in each turn."""
    async with running() as store:
        with contextlib.ExitStack() as up:

            def start(prefix: str) -> Server:
                build = passerby.with_settings(REDIS_URL=store.url, REDIS_PREFIX=prefix, MATCH_PATIENCE="0")
                return up.enter_context(build())

            first, second, single = start("two:"), start("two:"), start("one:")
            alone = up.enter_context(passerby())
            across = await _seat(plan, first, [second])
            local = await _seat(plan, single, [single])
            memory = await _seat(plan, alone, [alone])
            return await _in_turns(
                plan,
                {
                    "two nodes": House(together([first, second]), across),
                    "one node": House(single, local),
                    "two nodes and Redis": House(together([first, second], store), across),
                    "one node and Redis": House(together([single], store), local),
                    "memory alone": House(alone, memory),
                },
            )


async def _with_peers(plan: Plan, passerby: Passerby) -> dict[str, list[float]]:
    """Start all anew, and return the CPU seconds of a relay in each turn."""
    async with running() as store:
        with contextlib.ExitStack() as up:

            def start(prefix: str) -> Server:
                build = passerby.with_settings(REDIS_URL=store.url, REDIS_PREFIX=prefix, MATCH_PATIENCE="0")
                return up.enter_context(build())

            alone, node = start("one:"), start("many:")
            peers = [start("many:") for _ in range(IDLE_NODES)]
            costs = await _in_turns(
                plan,
                {
                    f"{IDLE_NODES} idle nodes": House(node, await _seat(plan, node, [node])),
                    "no other node": House(alone, await _seat(plan, alone, [alone])),
                },
            )
            peers += [start("many:") for _ in range(PEERS - IDLE_NODES)]
            cluster = together([node, *peers])
            spread, one = await _seat(plan, node, peers), await _seat(plan, node, peers[:1])
            few = await _seat(replace(plan, pairs=plan.pairs // PEERS), node, peers[:1])
            costs |= await _in_turns(
                plan,
                {
                    f"{PEERS} peers": House(cluster, spread),
                    "one peer": House(cluster, one),
                    "one peer with as few guests": House(cluster, few),
                    f"to {PEERS} peers": House(node, spread),
                    "to one peer": House(node, one),
                },
            )
            return costs


async def _peers(plan: Plan, passerby: Passerby) -> list[Row]:
    """Hold a node against one that has idle nodes beside it, and rooms with many other nodes against those with one."""
    costs = await _starting_anew(plan, partial(_with_peers, passerby=passerby))
    idle, peers_at_once = f"{IDLE_NODES} idle nodes", f"{PEERS} peers"
    return [
        _row("CPU of a relay beside idle nodes", costs, idle, "no other node", IDLE_BAR),
        _row(
            "CPU of a relay, rooms spread, of the node with the rooms",
            costs,
            f"to {PEERS} peers",
            "to one peer",
            SPREAD_BAR,
        ),
        _row("  of all nodes", costs, peers_at_once, "one peer with as few guests", SPREAD_BAR),
        _row("  of all nodes, fewer guests on each", costs, peers_at_once, "one peer", None),
    ]


# ── local rooms ───────────────────────────────────────────────────────────────────────────────────


class Seeker(Guest):
    """Notes where it lives, and how long a search takes."""

    def __init__(self, token: str | None) -> None:
        """Connect without searching."""
        super().__init__(token)
        self.home = ""
        self.room = ""
        self.began = self.wait = 0.0

    def seek(self) -> None:
        """Search."""
        self.began = time.perf_counter()
        self.send(b'42["user:match"]')

    def on_event(self, payload: bytes) -> None:
        """Read the two events that say where the guest lives."""
        if payload.startswith(b'42["connection:established"'):
            self.home = json.loads(payload[2:])[1].get("at", "")
        elif payload.startswith(b'42["user:matched"'):
            self.wait = time.perf_counter() - self.began
            self.room = json.loads(payload[2:])[1].get("at", "")


@dataclass(frozen=True)
class Searches:
    """What became of guests who searched at random times."""

    waits: Sequence[float]
    moved: int

    @property
    def local(self) -> float:
        """The share of rooms for which nobody had to move, in per cent."""
        return 100 * (1 - 2 * self.moved / len(self.waits))


async def _probe(server: Server) -> Seeker | None:
    """Let a guest come and go; None: one of the workers has no Redis yet, and the others do not know the session."""
    try:
        probe = await join(server, Seeker)
    except UnexpectedAnswerError:
        return None
    probe.leave()
    return probe


async def all_up(server: Server, workers: int) -> None:
    """Let guests come and go until some have lived at each of the workers, and all workers know of others."""
    homes: set[str] = set()
    async with asyncio.timeout(ANSWER_SECONDS):
        while len(homes) < workers:
            # Several at once: of those who come one after the other, the same worker may accept all.
            probes = await asyncio.gather(*(_probe(server) for _ in range(PROBES)))
            homes |= {probe.home for probe in probes if probe is not None} - {""}
            await asyncio.sleep(0.05)


async def _search(server: Server, count: int, chance: random.Random) -> Searches:
    """Let `count` guests search, `SEARCHES` a second at random times."""
    seekers = await join_many(server, Seeker, count)
    chance.shuffle(seekers)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for seeker in seekers:
        due += chance.expovariate(SEARCHES)
        await asyncio.sleep(due - loop.time())
        seeker.seek()
    async with asyncio.timeout(ANSWER_SECONDS):
        await asyncio.gather(*(seeker.paired for seeker in seekers))
    check(seekers)
    for seeker in seekers:
        seeker.leave()
    return Searches([seeker.wait for seeker in seekers], sum(seeker.home != seeker.room for seeker in seekers))


async def _shares(plan: Plan, passerby: Passerby) -> list[Row]:
    """Let guests of several workers search, with patience and without, in turns."""
    found: dict[str, list[Searches]] = {"patience": [], "none": []}
    for number in range(plan.rounds):
        for name in list(found)[:: -1 if number % 2 else 1]:
            settings = {"WORKERS": str(WORKERS)} | ({"MATCH_PATIENCE": "0"} if name == "none" else {})
            with passerby.with_settings(**settings)() as server:
                await all_up(server, WORKERS)
                found[name].append(await _search(server, plan.searches, random.Random(number)))
    share, without = (statistics.median(one.local for one in found[name]) for name in found)
    wait, shorter = (statistics.mean(wait for one in found[name] for wait in one.waits) for name in found)
    values = {f"{name}_{number}": one.local for name, of in found.items() for number, one in enumerate(of)}
    guests = f"{WORKERS} workers, {SEARCHES:g} searches a second"
    return [
        Row(
            f"rooms that are local, {guests}",
            f"{share:.1f} %",
            f"{without:.1f} % without patience",
            share,
            SHARE_BAR,
            values,
        ),
        Row("  mean wait more than without patience", f"{wait:.3f} s", f"{shorter:.3f} s", wait - shorter, WAIT_BAR),
    ]
