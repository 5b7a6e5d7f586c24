"""What guests are told of the searches of all, by searches of guests. tests/matching/test_pulse.py has the counting."""

from __future__ import annotations

import pytest

from passerby.matching.events import MatchSearching
from passerby.models import Wish
from tests.support.house import GRACE, House

TEA = Wish(mode="video", interests=("tea",), words=("Tea",))


@pytest.fixture
def house() -> House:
    return House(suggestion_people=2)


async def test_who_searches_is_told_how_many_do_with_them(house: House) -> None:
    anna, berta, carla = [await house.visitor() for _ in range(3)]
    await anna.search(Wish(interests=("chess",), words=("chess",), patient=True))
    await berta.search(Wish(interests=("go",), words=("go",), patient=True))
    await carla.search(Wish(mode="audio"))
    assert [person.link.last(MatchSearching).waiting for person in (anna, berta, carla)] == [1, 2, 1]
    await anna.search(Wish(interests=("chess",), words=("chess",), patient=True))
    assert anna.link.last(MatchSearching).waiting == 2


async def test_who_stops_or_is_away_does_not_count_until_they_search_again(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search()
    await berta.search(TEA)
    await berta.cancel()
    assert (house.pulse.searching("text"), house.pulse.usual_wait()) == (1, None)
    anna.drop()
    await house.settle()
    assert (house.pulse.searching("text"), house.pulse.usual_wait()) == (0, None)
    await anna.connect()
    assert (house.pulse.searching("text"), house.pulse.usual_wait()) == (1, None)
    await anna.leave_for_good()
    assert (house.pulse.searching("text"), house.pulse.usual_wait()) == (0, None)


async def test_two_who_meet_count_no_longer_and_the_longer_wait_is_usual(house: House) -> None:
    for seconds in (10, 20, 30, 40, 50):
        anna, berta = await house.visitor(), await house.visitor()
        await anna.search()
        await house.pass_time(seconds)
        await berta.search()
        assert house.pulse.searching("text") == 0
    await house.pass_time(1)

    carla = await house.visitor()
    await carla.search()
    told = carla.link.last(MatchSearching)
    assert (told.waiting, told.usual_wait) == (1, 30)


async def test_what_several_search_with_is_suggested(house: House) -> None:
    anna, berta = await house.visitor(), await house.visitor()
    await anna.search(TEA)
    await house.pass_time(1)
    assert house.pulse.suggestions() == []
    await berta.search(Wish(mode="audio", interests=("tea", "go"), words=("Tea", "Go")))
    await house.pass_time(1)
    assert house.pulse.suggestions() == ["Tea"]
    await anna.search(Wish(mode="video", interests=("go",), words=("Go",)))
    await house.pass_time(1)
    assert house.pulse.suggestions() == ["Go"]
    berta.drop()
    await house.pass_time(GRACE / 2)
    assert house.pulse.suggestions() == []
