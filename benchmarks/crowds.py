"""Cost per guest in a large crowd: joining, matching, memory."""

import asyncio
import contextlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.guests import Guest, UnexpectedAnswerError, check, end_sessions, join_many
from benchmarks.plan import Plan
from benchmarks.report import Bar, Row
from benchmarks.servers import Server, Start

JOIN_BAR = Bar(at_most=1.3)
MATCH_BAR = Bar(at_most=1.3)
MEMORY_BAR = Bar(at_most=20, unit="KB")
FIRST_GUESTS = 20
"""Guests that join before the first memory reading, so that lazy imports do not count."""


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
    """Bytes of resident memory per guest after the first few."""
    join_costs: list[float] = field(default_factory=list)
    """CPU seconds per joining guest, one value per round."""
    match_costs: list[float] = field(default_factory=list)

    def check(self) -> None:
        """Raise if a guest's connection was lost."""
        check([*self.seekers, *self.idle])


async def measure(plan: Plan, passerby: Start | None) -> list[Row]:
    """Keep three crowds connected and take turns, so that noise affects all equally."""
    if passerby is None:
        return []
    with contextlib.ExitStack() as running:
        sizes = (plan.large_crowd, plan.small_crowd, plan.seekers)
        large, small, few = [await _gather(running.enter_context(passerby()), size, plan) for size in sizes]
        for _ in range(plan.rounds):
            for crowd in (large, small):
                crowd.join_costs.append(await _join_cost(crowd, plan))
        await asyncio.sleep(plan.settle)
        for _ in range(plan.match_turns):
            for crowd in (large, few):
                crowd.match_costs.append(await _match_cost(crowd, plan))
        for crowd in (large, small, few):
            crowd.check()
            for guest in (*crowd.seekers, *crowd.idle):
                guest.leave()
    return [_join_row(large, small, plan), _match_row(large, few, plan), _memory_row(large)]


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


async def _join_cost(crowd: Crowd, plan: Plan) -> float:
    """CPU per joining guest in a rush, until all statistics are sent.

    The server's other work in that time, such as heartbeats, is included.
    """
    before = crowd.server.cpu_seconds()
    joiners = await join_many(crowd.server, Guest, plan.joiners)
    await asyncio.sleep(plan.settle)
    cost = (crowd.server.cpu_seconds() - before) / len(joiners)
    check(joiners)
    await end_sessions(crowd.server, joiners)
    return cost


async def _match_cost(crowd: Crowd, plan: Plan) -> float:
    """CPU per match while the seekers search as fast as possible."""
    for seeker in crowd.seekers:
        seeker.seeking = True
        seeker.seek()
    await asyncio.sleep(plan.match_warm_up)
    matches, before = _matches(crowd.seekers), crowd.server.cpu_seconds()
    await asyncio.sleep(plan.match_turn)
    found = _matches(crowd.seekers) - matches
    cpu = crowd.server.cpu_seconds() - before
    for seeker in crowd.seekers:
        seeker.seeking = False
    await asyncio.sleep(0.3)
    for seeker in crowd.seekers:
        seeker.give_up()
    await asyncio.sleep(0.2)
    if found == 0:
        crowd.check()
        raise UnexpectedAnswerError("nobody was matched")
    return cpu / found


def _matches(seekers: Sequence[Seeker]) -> float:
    return sum(seeker.matches for seeker in seekers) / 2


def _join_row(large: Crowd, small: Crowd, plan: Plan) -> Row:
    return _cost_row(
        f"CPU to join, {large.size:,} there against {small.size:,}",
        f"{plan.joiners} in a rush, statistics included",
        JOIN_BAR,
        large.join_costs,
        small.join_costs,
    )


def _match_row(large: Crowd, few: Crowd, plan: Plan) -> Row:
    return _cost_row(
        f"CPU per match, {large.size:,} connected against {few.size:,}",
        f"{plan.seekers} seek without pause, the others are idle",
        MATCH_BAR,
        large.match_costs,
        few.match_costs,
    )


def _cost_row(what: str, remark: str, bar: Bar, large: Sequence[float], small: Sequence[float]) -> Row:
    many, few = statistics.median(large), statistics.median(small)
    values = {f"large_{number}": cost for number, cost in enumerate(large)}
    values |= {f"small_{number}": cost for number, cost in enumerate(small)}
    return Row(
        what=what,
        passerby=f"{many * 1e6:,.0f} us against {few * 1e6:,.0f} us",
        beside=remark,
        result=statistics.median(big / little for big, little in zip(large, small, strict=True)),
        bar=bar,
        values=values,
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
