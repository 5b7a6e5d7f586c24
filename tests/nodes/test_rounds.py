"""Rounds: who is the first, what it gathers, what it tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from passerby.background import Background
from passerby.errors import UnavailableError
from passerby.nodes.bus_memory import MemoryBus, MemoryHub
from passerby.nodes.requests import Requests
from passerby.nodes.rounds import SEARCHES, STATISTICS, Rounds, Subject
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from passerby.nodes.membership import Membership


class Node:
    """A node; `alive` is what it believes."""

    def __init__(self, hub: MemoryHub, clock: ManualClock, name: str, alive: set[str], subject: Subject) -> None:
        self.has = name.encode()
        self.is_frozen = False
        self.is_broken = False
        self.has_lease = True
        self.heard: list[object] = []
        self._alive = alive
        self.background = Background(clock)
        self.bus = MemoryBus(hub, name, self.background)
        self.rounds = Rounds(
            self.bus,
            Requests(self.bus, clock, self.background),
            cast("Membership", self),
            subject,
            share=self._share,
            due=lambda: self.heard.append("due"),
            told=self.heard.append,
        )
        self.bus.start()

    def alive(self) -> set[str]:
        return self._alive

    def holds(self) -> bool:
        return self.has_lease

    async def _share(self) -> bytes:
        if self.is_frozen:
            await asyncio.Event().wait()
        if self.is_broken:
            raise UnavailableError(["all"])
        return self.has


class Three:
    def __init__(self, subject: Subject = STATISTICS) -> None:
        self.clock = ManualClock()
        self.alive = {"a", "b", "c"}
        hub = MemoryHub()
        self.first, self.second, self.third = (Node(hub, self.clock, name, self.alive, subject) for name in "abc")

    async def gather(self, node: Node) -> list[bytes]:
        gathering = asyncio.ensure_future(node.rounds.gather())
        await self.clock.run(1)
        return sorted(await gathering)


@pytest.fixture
async def three() -> Three:
    return Three()


async def test_the_lowest_id_is_the_first(three: Three) -> None:
    assert [node.rounds.is_first for node in (three.first, three.second, three.third)] == [True, False, False]
    assert three.first.rounds.count == 3
    three.alive.remove("a")
    assert [node.rounds.is_first for node in (three.second, three.third)] == [True, False]
    assert three.second.rounds.count == 2


async def test_the_first_learns_that_a_round_is_due(three: Three) -> None:
    assert await three.third.rounds.announce()
    assert three.first.heard == ["due"]
    assert three.second.heard == []


async def test_a_first_that_is_gone_learns_nothing(three: Three) -> None:
    await three.first.bus.close()
    announcing = asyncio.ensure_future(three.third.rounds.announce())
    await three.clock.run(1)

    assert not await announcing


async def test_the_first_gathers_from_all_others_and_tells_them(three: Three) -> None:
    assert await three.gather(three.first) == [b"b", b"c"]
    three.second.has = b"news"
    assert await three.gather(three.first) == [b"c", b"news"]

    three.first.rounds.tell(b"all of it")
    await turns()
    assert three.second.heard == three.third.heard == [b"all of it"]
    assert three.first.heard == []


@pytest.mark.parametrize("trouble", ["is_frozen", "is_broken"])
async def test_one_that_does_not_answer_gives_what_it_had_until_it_is_gone(three: Three, trouble: str) -> None:
    await three.gather(three.first)
    setattr(three.second, trouble, True)
    three.second.has, three.third.has = b"lost", b"news"
    assert await three.gather(three.first) == [b"b", b"news"]

    three.alive.remove("b")
    assert await three.gather(three.first) == [b"news"]
    three.alive.remove("c")
    assert await three.gather(three.first) == []


@pytest.mark.parametrize("trouble", ["is_frozen", "is_broken"])
async def test_one_that_does_not_answer_is_left_out_if_what_it_had_may_be_wrong(trouble: str) -> None:
    three = Three(SEARCHES)
    assert await three.gather(three.first) == [b"b", b"c"]
    setattr(three.second, trouble, True)
    assert await three.gather(three.first) == [b"c"]


async def test_one_that_has_never_answered_gives_nothing(three: Three) -> None:
    three.second.is_frozen = True
    assert await three.gather(three.first) == [b"c"]


async def test_a_node_without_a_lease_is_the_first_of_itself(three: Three) -> None:
    await three.gather(three.third)
    three.third.has_lease = False
    assert three.third.rounds.is_first
    assert three.third.rounds.nodes == {"c"}
    assert await three.gather(three.third) == []
    three.third.rounds.tell(b"nobody hears it")
    await turns()
    assert three.first.heard == three.second.heard == []
