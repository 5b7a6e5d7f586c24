"""Searches and the hours at which guests can meet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from passerby.errors import ClosedError, Code, ConflictError
from passerby.matching.events import MatchSearching
from passerby.models import Wish
from tests.support.clock import START
from tests.support.house import GRACE, House


def clock_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


@pytest.fixture
def house() -> House:
    """Return a house that closes between 10 and 11 minutes from now, and opens an hour later."""
    closes, opens = clock_of(START + 660), clock_of(START + 4260)
    return House(meeting_hours=(f"{opens}-{closes}",))


async def test_no_search_begins_while_it_is_closed(house: House) -> None:
    anna = await house.visitor()
    await house.pass_time(700)
    anna.link.clear()

    with pytest.raises(ClosedError) as caught:
        await anna.search()
    assert caught.value.code is Code.HOUSE_CLOSED
    assert not anna.live.guest.is_searching
    assert anna.link.names() == []

    wait = caught.value.retry_after
    assert wait is not None
    assert clock_of(house.clock.time() + wait) == clock_of(START + 4260)
    await house.pass_time(wait - 1)
    with pytest.raises(ClosedError):
        await anna.search()
    await house.pass_time(1)
    await anna.search()
    assert anna.live.guest.is_searching


async def test_who_waits_when_it_closes_goes_on(house: House) -> None:
    anna = await house.visitor()
    await anna.search()
    await house.pass_time(700)
    assert anna.live.guest.is_searching

    anna.link.clear()
    await anna.search()
    assert anna.link.of(MatchSearching), "told again"

    await anna.search(Wish(languages=("en",)))
    assert anna.live.ticket is not None
    assert anna.live.ticket.wish.languages == ("en",), "another wish for the same search"

    anna.drop()
    await house.pass_time(GRACE / 2)
    await anna.connect()
    assert anna.live.guest.is_searching
    assert anna.link.of(MatchSearching), "the search has come back with the connection"


async def test_who_talks_is_told_so_and_not_that_it_is_closed(house: House) -> None:
    anna, _ = await house.pair()
    await house.pass_time(700)

    with pytest.raises(ConflictError) as caught:
        await anna.search()
    assert caught.value.code is Code.ALREADY_IN_ROOM
