"""What a guest costs when many are there, or to another build: to let in, to match, to hold."""

import asyncio
import contextlib
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.guests import ANSWER_SECONDS, Guest, check, end_sessions, join_many, pass_turn
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Server, Start
from benchmarks.turns import OURS, Builds, median_ratio, take_turns

JOIN_BAR = Bar(at_most=1.3)
MATCH_BAR = Bar(at_most=1.3)
BUILD_BAR = Bar(at_most=1.03)
MEMORY_BAR = Bar(at_most=20, unit="KB")
LARGE, SMALL = "large", "small"
FIRST_GUESTS = 20
"""Guests that join before the first memory reading, so that lazy imports do not count."""

Costs = dict[str, list[float]]
"""CPU-seconds for each guest or match, one figure a turn, by the side whose they are."""


class Seeker(Guest):
    """While seeking: searches; after a match one of the two leaves at once, and both search again."""

    def __init__(self, token: str | None) -> None:
        """Connect without searching."""
        super().__init__(token)
        self.own_id = ""
        self.seeking = False
        self.searching = False
        self.in_room = False
        self.matches = 0

    def seek(self) -> None:
        """Start a search."""
        if self.seeking:
            self.searching = True
            self.send(b'42["user:match"]')

    def give_up(self) -> None:
        """Cancel the search, if there was no match."""
        if self.searching:
            self.searching = False
            self.send(b'42["user:match:cancel"]')

    def on_event(self, payload: bytes) -> None:
        """Handle a match and the end of a room."""
        if payload.startswith(b'42["user:matched"'):
            self.matches += 1
            self.searching = False
            self.in_room = True
            partner = json.loads(payload[2:])[1]["matchedUser"]["id"]
            if self.own_id < partner:  # exactly one of the two leaves
                self.send(b'42["leave-room"]')
        elif payload.startswith((b'42["chat:clear:confirmed"', b'42["chat:cleared"', b'42["room:user_left"')):
            if self.in_room:
                self.in_room = False
                self.seek()
        elif payload.startswith(b'42["connection:established"'):
            self.own_id = json.loads(payload[2:])[1]["userId"]


@dataclass
class Crowd:
    """A server with ``size`` connected guests, some of whom will search."""

    server: Server
    size: int
    seekers: list[Seeker]
    idle: list[Guest]
    memory_each: float
    """Bytes of resident memory for each guest after the first few."""

    def check(self) -> None:
        """Raise if a guest's connection was lost."""
        check([*self.seekers, *self.idle])

    def leave(self) -> None:
        """Let all go; raise if anybody was lost before."""
        self.check()
        for guest in (*self.seekers, *self.idle):
            guest.leave()


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Keep three crowds connected and take turns, so that noise affects all equally."""
    if passerby is None:
        return []
    with contextlib.ExitStack() as running:
        sizes = (plan.large_crowd, plan.small_crowd, plan.seekers)
        large, small, few = [await _gather(running.enter_context(passerby()), size, plan) for size in sizes]
        joins: Costs = {LARGE: [], SMALL: []}
        for _ in range(plan.rounds):
            await _join(plan, {LARGE: large}, joins)
            await _join(plan, {SMALL: small}, joins)
        await asyncio.sleep(plan.settle)
        matches = await take_turns({LARGE: large, SMALL: few}, plan.match_turns, partial(_match_cost, plan))
        for crowd in (large, small, few):
            crowd.leave()
    return [
        _row(f"CPU to join, {large.size:,} there against {small.size:,}", _joining(plan), JOIN_BAR, joins),
        _row(f"CPU per match, {large.size:,} connected against {few.size:,}", _seeking(plan), MATCH_BAR, matches),
        _memory_row(large),
    ]


async def compare(plan: Plan, builds: Builds, bar: Bar = BUILD_BAR) -> list[Row]:
    """Let two builds take turns with crowds of one size, and again in new processes."""
    other = builds.other_name
    joins: Costs = {OURS: [], other: []}
    matches: Costs = {OURS: [], other: []}
    for number in range(plan.starts):
        with builds.up(number) as servers:
            crowds = {name: await _gather(server, plan.small_crowd, plan) for name, server in servers.items()}
            for _ in range(plan.rounds):
                await _join(plan, crowds, joins)
                await asyncio.sleep(plan.settle)
            for name, costs in (await take_turns(crowds, plan.match_turns, partial(_match_cost, plan))).items():
                matches[name] += costs
            for crowd in crowds.values():
                crowd.leave()
    size = plan.small_crowd
    return [
        _row(f"CPU to join, {size:,} there, against {other}", _joining(plan), bar, joins),
        _row(f"CPU per match, {size:,} connected, against {other}", _seeking(plan), bar, matches),
    ]


async def _gather(server: Server, size: int, plan: Plan) -> Crowd:
    first: list[Guest] = [*await join_many(server, Seeker, min(FIRST_GUESTS, plan.seekers))]
    await asyncio.sleep(0.5)
    before = server.resident_bytes()
    seekers = [guest for guest in first if isinstance(guest, Seeker)]
    seekers += await join_many(server, Seeker, plan.seekers - len(seekers))
    idle = await join_many(server, Guest, size - plan.seekers)
    await asyncio.sleep(plan.settle)
    memory = server.resident_bytes() - before
    return Crowd(server, size, seekers, idle, memory / (size - len(first)))


async def _join(plan: Plan, crowds: Mapping[str, Crowd], costs: Costs) -> None:
    """Note the CPU for each of a rush of joiners to each crowd, until the statistics have come to rest.

    With several crowds, a few come to each in turn, and all rest together, so that all have the same seconds.
    Whatever else a server does meanwhile, such as the heartbeat, is counted in.
    """
    before = {name: crowd.server.cpu_seconds() for name, crowd in crowds.items()}
    rushes = await take_turns(crowds, plan.rushes, partial(_rush, plan.joiners // plan.rushes))
    await asyncio.sleep(plan.settle)
    for name, crowd in crowds.items():
        costs[name].append((crowd.server.cpu_seconds() - before[name]) / plan.joiners)
    for name, crowd in crowds.items():
        joiners = list(itertools.chain.from_iterable(rushes[name]))
        check(joiners)
        await end_sessions(crowd.server, joiners)


async def _rush(joiners: int, crowd: Crowd) -> list[Guest]:
    return await join_many(crowd.server, Guest, joiners)


async def _match_cost(plan: Plan, crowd: Crowd) -> float:
    """CPU for each match while the seekers seek as fast as they can."""
    for seeker in crowd.seekers:
        seeker.seeking = True
        seeker.seek()
    await asyncio.sleep(plan.match_warm_up)
    server, seekers = crowd.server, crowd.seekers
    matches, before = _matches(seekers), server.cpu_seconds()
    await pass_turn(plan.match_turn, seekers, lambda: server.cpu_seconds() > before and _matches(seekers) > matches)
    found = _matches(seekers) - matches
    cpu = server.cpu_seconds() - before
    for seeker in crowd.seekers:
        seeker.seeking = False
    await _rest(crowd.seekers)
    for seeker in crowd.seekers:
        seeker.give_up()
    return cpu / found


async def _rest(seekers: Sequence[Seeker]) -> None:
    """Wait until all rooms have ended, and nobody or one alone still searches."""
    async with asyncio.timeout(ANSWER_SECONDS):
        while any(seeker.in_room for seeker in seekers) or sum(seeker.searching for seeker in seekers) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _matches(seekers: Sequence[Seeker]) -> float:
    return sum(seeker.matches for seeker in seekers) / 2


def _joining(plan: Plan) -> str:
    return f"{plan.joiners} in a rush, statistics included"


def _seeking(plan: Plan) -> str:
    return f"{plan.seekers} seek without pause, the others are idle"


def _row(what: str, remark: str, bar: Bar, costs: Costs) -> Row:
    """Hold the first side's costs against the second's."""
    over, under = costs.values()
    return Row(
        what=what,
        passerby=f"{statistics.median(over) * 1e6:,.0f} us against {statistics.median(under) * 1e6:,.0f} us",
        beside=remark,
        result=median_ratio(over, under),
        bar=bar,
        values={f"{side}_{turn}": cost for side, values in costs.items() for turn, cost in enumerate(values)},
    )


def _memory_row(crowd: Crowd) -> Row:
    each = crowd.memory_each / 1000
    return Row(
        what=f"memory per idle guest, {crowd.size:,} connected",
        passerby=f"{each:.1f} KB",
        beside="resident set, kernel's buffers aside",
        result=each,
        bar=MEMORY_BAR,
        values={"kb_each": each},
    )
