"""What each of several nodes knows of the searches of all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from passerby.background import Background
from passerby.matching.pulse import Pulse
from passerby.models import Wish
from passerby.nodes.bus_memory import MemoryBus, MemoryHub
from passerby.nodes.requests import Requests
from passerby.nodes.rounds import SEARCHES, Rounds
from tests.nodes.test_moving import match, running
from tests.support.clock import ManualClock
from tests.support.valkey import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from passerby.nodes.membership import Membership
    from tests.support.server import InsideServer

PEOPLE = 3
TEA = Wish(interests=("tea",), words=("Tea",))


class Node:
    """A node with a pulse. `is_cut_off`: it has no lease, and nothing comes to it."""

    def __init__(self, hub: MemoryHub, clock: ManualClock, name: str, alive: set[str]) -> None:
        self.name = name
        self.is_cut_off = False
        self.is_frozen = False
        self.sent = 0
        self._alive = alive
        self.background = Background(clock)
        self.bus = MemoryBus(hub, name, self.background)
        self.pulse = Pulse(clock, node=name, people=PEOPLE)
        self.pulse.others = Rounds(
            self.bus,
            Requests(self.bus, clock, self.background),
            cast("Membership", self),
            SEARCHES,
            share=self._share,
            due=self.pulse.stir,
            told=self.pulse.told,
        )
        self.bus.start()
        self.background.repeat("round of searches", self.pulse.keep)

    def alive(self) -> set[str]:
        return self._alive

    def holds(self) -> bool:
        return not self.is_cut_off

    async def _share(self) -> bytes:
        self.sent += 1
        if self.is_frozen:
            await asyncio.Event().wait()
        return await self.pulse.share()


class Three:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.alive = {"a", "b", "c"}
        hub = MemoryHub()
        self.first, self.second, self.third = self.all = [Node(hub, self.clock, name, self.alive) for name in "abc"]

    def counts(self) -> list[int]:
        return [node.pulse.searching("text") for node in self.all]

    async def stop(self) -> None:
        for node in self.all:
            await node.background.stop(1)


@pytest.fixture
async def three() -> AsyncIterator[Three]:
    three = Three()
    await three.clock.run(5)
    yield three
    await three.stop()


async def test_a_search_is_known_everywhere_after_a_second(three: Three) -> None:
    three.third.pulse.searched("anna", Wish())
    assert three.counts() == [0, 0, 1]
    await three.clock.run(1.5)
    assert three.counts() == [1, 1, 1]
    three.first.pulse.searched("berta", Wish())
    await three.clock.run(1.5)
    assert three.counts() == [2, 2, 2]
    three.third.pulse.ended("anna")
    three.first.pulse.ended("berta")
    await three.clock.run(1.5)
    assert three.counts() == [0, 0, 0]


async def test_few_on_each_node_are_enough_for_a_suggestion_together(three: Three) -> None:
    three.second.pulse.searched("anna", TEA)
    three.third.pulse.searched("berta", TEA)
    await three.clock.run(2)
    three.first.pulse.searched("anna", TEA)  # she moves, and is on two nodes for a moment
    await three.clock.run(2)
    assert [node.pulse.suggestions() for node in three.all] == [[], [], []]
    three.second.pulse.ended("anna")
    three.second.pulse.searched("carla", TEA)
    await three.clock.run(2)
    assert [node.pulse.suggestions() for node in three.all] == [["Tea"]] * 3


async def test_the_usual_wait_is_that_of_all(three: Three) -> None:
    for node, waits in zip(three.all, ([1, 2], [3, 40], [50]), strict=True):
        node.pulse.searched("somebody", Wish())
        node.pulse.ended("somebody")
        for seconds in waits:
            node.pulse.met(seconds)
    await three.clock.run(2)
    assert [node.pulse.usual_wait() for node in three.all] == [3] * 3


async def test_while_somebody_searches_there_is_a_round_a_second_and_otherwise_few(three: Three) -> None:
    await three.clock.run(60)
    before = three.second.sent
    await three.clock.run(60)
    assert 4 <= three.second.sent - before <= 8
    three.third.pulse.searched("anna", Wish())
    before = three.second.sent
    await three.clock.run(60)
    assert 55 <= three.second.sent - before <= 61


@pytest.mark.parametrize("name", ["second", "first"])
async def test_a_node_that_does_not_answer_is_left_out(three: Three, name: str) -> None:
    """It is frozen, and nobody knows yet that it will be gone."""
    for number, node in enumerate(three.all):
        node.pulse.searched(f"guest {number}", TEA)
    await three.clock.run(2)
    assert three.counts() == [3, 3, 3]
    assert three.third.pulse.suggestions() == ["Tea"]

    frozen: Node = getattr(three, name)
    frozen.is_frozen = True
    if frozen is three.first:
        await frozen.background.stop(1)
    await three.clock.run(5)
    # Without the first nobody knows of others.
    assert three.counts()[2] == (2 if name == "second" else 1)
    assert three.third.pulse.suggestions() == []

    three.alive.remove(frozen.name)
    await three.clock.run(12)
    assert three.counts()[2] == 2


async def test_another_first_makes_the_rounds_when_the_first_is_gone(three: Three) -> None:
    three.third.pulse.searched("anna", Wish())
    await three.clock.run(2)
    await three.first.background.stop(1)
    await three.first.bus.close()
    three.alive.remove("a")
    await three.clock.run(5)
    assert three.counts()[1:] == [1, 1]
    three.second.pulse.searched("berta", Wish())
    await three.clock.run(2)
    assert three.counts()[1:] == [2, 2]


async def test_a_node_that_is_cut_off_knows_of_itself_alone(three: Three) -> None:
    three.third.pulse.searched("anna", Wish())
    three.first.pulse.searched("berta", Wish())
    await three.clock.run(2)
    three.third.is_cut_off = True
    three.alive.remove("c")
    await three.clock.run(4)
    assert three.counts() == [1, 1, 1]


# ── with real servers ─────────────────────────────────────────────────────────────────────────────


async def matching(node: InsideServer) -> dict[str, Any]:
    answer = await node.http.get("/api/matching")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def tells(node: InsideServer, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a node answers so."""
    async with asyncio.timeout(PATIENCE):
        while not is_it(found := await matching(node)):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)
    return found


async def test_three_servers_tell_the_same() -> None:
    async with running(3, suggestion_people=PEOPLE, limits_scale=1000.0) as nodes:
        pulses = [node.application.services.pulse for node in nodes.all]
        for number, pulse in enumerate(pulses):
            pulse.searched(f"guest {number}", TEA)
            for seconds in (10, 20):
                pulse.met(seconds + number)
        for node in nodes.all:
            assert await tells(node, lambda found: found["waiting"]["text"] == 3) == {
                "waiting": {"text": 3, "audio": 0, "video": 0},
                "suggestions": ["Tea"],
                "usualWait": 16,
            }
        pulses[1].ended("guest 1")
        for node in nodes.all:
            assert (await tells(node, lambda found: not found["suggestions"]))["waiting"]["text"] == 2


async def test_who_moves_to_be_matched_searches_nowhere_any_more() -> None:
    async with running(2, limits_scale=1000.0) as nodes:
        (_, anna), (_, berta) = [await node.visitor() for node in nodes.all]
        await match(anna, berta)
        for node in nodes.all:
            assert (await tells(node, lambda found: found["waiting"]["text"] == 0)) == {
                "waiting": {"text": 0, "audio": 0, "video": 0},
                "suggestions": [],
            }
        assert [node.application.services.pulse._searching for node in nodes.all] == [{}, {}]


async def test_who_searches_and_connects_to_another_node_searches_there() -> None:
    async with running(2, limits_scale=1000.0) as nodes:
        first, second = nodes.all
        account, anna = await first.visitor()
        await anna.emit("user:match")
        await anna.until("user:match:no_users")
        again = await second.connect(account)
        await again.until("user:match:searching")
        pulses = [node.application.services.pulse for node in nodes.all]
        assert [list(pulse._searching) for pulse in pulses] == [[], [account.id]]
        for node in nodes.all:
            assert (await tells(node, lambda found: found["waiting"]["text"] == 1))["waiting"]["text"] == 1
