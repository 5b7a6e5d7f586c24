"""However many uploads there are, together they take a bounded part of each iteration of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from passerby.files.turns import BUDGET, Turns
from passerby.limits import Rate
from passerby.media.stream import STEPS, Stream
from tests.files.test_files import FileHouse
from tests.media import containers as c


class Meter:
    """A timer that the work moves, and the work of each iteration of the event loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.iteration = 0
        self.work: Counter[int] = Counter()
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.iteration += 1

    def does(self, name: str, seconds: float) -> None:
        self.now += seconds
        self.work[self.iteration] += 1
        self.order.append(name)


async def measured(meter: Meter, turns: Turns, uploads: int, each: int, seconds: float) -> None:
    async def upload(name: str) -> None:
        for _ in range(each):
            await turns.wait()
            with turns.taken():
                meter.does(name, seconds)

    counting = asyncio.ensure_future(meter.count())
    await asyncio.gather(*[upload(str(number)) for number in range(uploads)])
    counting.cancel()


async def test_of_many_uploads_one_has_a_turn_in_an_iteration() -> None:
    meter = Meter()

    await measured(meter, Turns(meter), 30, 4, 2 * BUDGET)

    assert set(meter.work.values()) == {1}
    assert sum(meter.work.values()) == 30 * 4
    assert meter.iteration <= 2 * 30 * 4 + 4


async def test_all_have_their_turns_in_order() -> None:
    meter = Meter()

    await measured(meter, Turns(meter), 5, 3, 2 * BUDGET)

    assert meter.order == [*"0", *"01234", *"01234", *"1234"], "the first asks again before the others begin"


async def test_short_turns_share_an_iteration() -> None:
    meter = Meter()

    await measured(meter, Turns(meter), 4, 1, BUDGET / 8)

    assert max(meter.work.values()) == 4


async def test_who_is_cancelled_while_it_waits_blocks_nobody() -> None:
    turns = Turns()
    turns.end()
    first, second = (asyncio.ensure_future(turns.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()

    await asyncio.wait_for(second, 1)


@pytest.mark.parametrize("ticks", range(4))
async def test_who_is_cancelled_when_its_turn_comes_blocks_nobody(ticks: int) -> None:
    turns = Turns()
    turns.end()
    first, second, third = (asyncio.ensure_future(turns.wait()) for _ in range(3))
    for _ in range(ticks):
        await asyncio.sleep(0)
    first.cancel()

    await asyncio.wait_for(asyncio.gather(second, third), 1)


async def test_hostile_uploads_share_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    house = FileHouse(limit_uploads=Rate(1000, 1))
    anna, _ = await house.pair()
    meter = Meter()
    house.files._turns._timer = meter
    run = Stream._run

    def counted(stream: Stream) -> object:
        for portion in run(stream):
            if stream.is_busy:
                meter.does("", 2 * BUDGET)
            yield portion

    monkeypatch.setattr(Stream, "_run", counted)
    film = c.WEBM + c.element(0x18538067, c.element(0xAE, c.SOUND), size=c.UNKNOWN) + b"\xec\x80" * (STEPS * 10)

    counting = asyncio.ensure_future(meter.count())
    await asyncio.gather(*[house.bring(anna, film) for _ in range(20)])
    counting.cancel()

    assert sum(meter.work.values()) >= 20 * 10
    assert max(meter.work.values()) == 1
