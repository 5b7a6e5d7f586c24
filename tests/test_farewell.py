"""The end of a server that nobody follows at once, by an injected clock: who is told what, and who may stay."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from passerby.calls.events import EndCall, SendOffer, SessionDescription
from passerby.errors import Code, StoppingError
from passerby.guests.events import ConnectionClosing
from passerby.models import Wish
from tests.support.clock import turns
from tests.support.house import House, Person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOTICE, PATIENCE, AWAY = 10.0, 20.0, 5.0
OFFER = SendOffer(
    offer=SessionDescription(type="offer", sdp="v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"), type="audio"
)


class Goodbye:
    def __init__(self, house: House) -> None:
        self.house = house
        self.is_hurried = False
        self.is_empty = False
        self.saying = asyncio.ensure_future(
            house.farewell.say(
                notice=NOTICE,
                patience=PATIENCE,
                away=AWAY,
                keeps=False,
                is_over=lambda: self.is_hurried or self.is_empty,
            )
        )

    def has_ended(self) -> bool:
        return self.saying.done()


@contextlib.asynccontextmanager
async def goodbye(house: House) -> AsyncIterator[Goodbye]:
    saying = Goodbye(house)
    await turns()
    try:
        yield saying
    finally:
        saying.saying.cancel()


def told(person: Person) -> ConnectionClosing:
    (event,) = person.link.of(ConnectionClosing)
    return event


async def test_everybody_is_told_and_it_ends_with_the_notice() -> None:
    house = House()
    anna, berta = await house.pair()
    carla = await house.visitor()
    async with goodbye(house) as saying:
        for person in (anna, berta, carla):
            event = told(person)
            assert (event.code, event.closes_in, event.kept) == (Code.SERVER_SHUTTING_DOWN, NOTICE, False)
            assert isinstance(event.return_in, float)
            assert NOTICE + AWAY <= event.return_in <= NOTICE + AWAY + 1
            assert not person.link.closed
        anna.say("goodbye")
        assert berta.link.texts() == ["goodbye"]
        await house.clock.run(NOTICE - 0.1)
        assert not saying.has_ended()
        await house.clock.run(0.1)
        assert saying.has_ended()
    assert {anna.link.closed, berta.link.closed, carla.link.closed} == {None}  # whoever stops the server does that


async def test_nothing_begins_any_more() -> None:
    house = House()
    anna, _ = await house.pair()
    carla = await house.visitor()
    async with goodbye(house):
        await house.clock.run(4)
        for begin in (house.newcomer, carla.search):
            with pytest.raises(StoppingError) as caught:
                await begin()
            assert caught.value.retry_after == NOTICE - 4 + AWAY
        with pytest.raises(StoppingError):
            house.calls.offer(anna.live, OFFER)
        with pytest.raises(StoppingError):
            house.files.begin(anna.live, name="a", claimed="", size=1, voice=False)
        assert (await house.check())["new guests"] is False
    assert not house.background.failures


async def test_who_comes_back_meanwhile_is_told_the_time_that_is_left() -> None:
    house = House()
    anna, berta = await house.pair()
    async with goodbye(house) as saying:
        berta.drop()
        await house.clock.run(7)
        link = await berta.connect()
        house.farewell.greet(berta.live)
        (event,) = link.of(ConnectionClosing)
        assert event.closes_in == 3
        assert not saying.has_ended()
        anna.say("you are back")
        assert link.texts() == ["you are back"]


@pytest.mark.parametrize("what", ["call", "upload"])
async def test_what_is_under_way_gets_its_time(what: str) -> None:
    house = House(consent=("none",))
    anna, berta = await house.pair()
    carla, dora = await house.pair("Carla", "Dora")
    upload = None
    if what == "call":
        house.calls.offer(anna.live, OFFER)
    else:
        upload = house.files.begin(anna.live, name="a", claimed="", size=3, voice=False)
    async with goodbye(house) as saying:
        assert {told(anna).closes_in, told(berta).closes_in} == {PATIENCE}
        assert {told(carla).closes_in, told(dora).closes_in} == {NOTICE}
        for person in (anna, berta, carla, dora):  # nobody comes back before the process has ended
            assert PATIENCE + AWAY <= (told(person).return_in or 0) <= PATIENCE + AWAY + 1
        await house.clock.run(NOTICE + 0.1)
        assert {carla.link.closed, dora.link.closed} == {Code.SERVER_SHUTTING_DOWN}
        assert {anna.link.closed, berta.link.closed} == {None}
        await house.clock.run(2)
        assert not saying.has_ended()
        if upload is None:
            house.calls.hang_up(anna.live, EndCall, None)
        else:
            await upload.write(b"abc")
            await upload.finish(upload.room.id)
        await house.clock.run(0.5)
        for person in (anna, berta):
            assert person.link.last(ConnectionClosing).closes_in == pytest.approx(2, abs=0.1)
        assert not saying.has_ended()  # there is time to send the file
        anna.say("here it is")
        await house.clock.run(2)
        assert saying.has_ended()


async def test_it_waits_for_nobody_for_ever() -> None:
    house = House(consent=("none",))
    anna, berta = await house.pair()
    house.files.begin(anna.live, name="a", claimed="", size=3, voice=False)
    async with goodbye(house) as saying:
        await house.clock.run(PATIENCE - 0.1)
        assert not saying.has_ended()
        await house.clock.run(0.2)
        assert saying.has_ended()
        assert berta.link.closed is None


@pytest.mark.parametrize("why", ["is_hurried", "is_empty"])
@pytest.mark.parametrize("after", [0.0, 3.0, NOTICE + 3])
async def test_it_is_over_at_once_without_anybody_and_in_a_hurry(why: str, after: float) -> None:
    house = House(consent=("none",))
    anna, _ = await house.pair()
    house.calls.offer(anna.live, OFFER)
    async with goodbye(house) as saying:
        await house.clock.run(after)
        setattr(saying, why, True)
        await house.clock.run(0.1)
        assert saying.has_ended()


async def test_nobody_is_matched_any_more_and_searches_wait() -> None:
    house = House(match_interests=4, match_language=6)
    carla, dora = await house.visitor("Carla"), await house.visitor("Dora")
    await carla.search(Wish(interests=("tea",)))
    async with goodbye(house):
        assert carla.live.ticket is None
        assert carla.live.suspended is not None
        carla.drop()
        await carla.connect()
        house.farewell.greet(carla.live)
        await house.clock.run(NOTICE)
        with pytest.raises(StoppingError):
            await dora.search()
        assert carla.live.member is None
        assert carla.live.suspended is not None


async def test_a_call_that_ends_early_gives_no_more_time_than_others_have() -> None:
    house = House(consent=("none",))
    anna, berta = await house.pair()
    house.calls.offer(anna.live, OFFER)
    async with goodbye(house) as saying:
        await house.clock.run(3)
        house.calls.hang_up(anna.live, EndCall, None)
        await house.clock.run(0.1)
        for person in (anna, berta):
            assert person.link.last(ConnectionClosing).closes_in == pytest.approx(NOTICE - 3, abs=0.2)
        await house.clock.run(NOTICE - 3.2)
        assert not saying.has_ended()
        await house.clock.run(0.2)
        assert saying.has_ended()
