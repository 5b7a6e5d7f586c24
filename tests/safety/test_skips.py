"""Guests whom many leave at once wait; who is only unlucky does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from passerby.errors import RateLimitedError
from passerby.safety.skips import FEW, LONGEST_PAUSE, PAUSE, SOON
from tests.support.house import House

if TYPE_CHECKING:
    from passerby.live import LiveGuest
    from tests.conftest import StartServer
    from tests.support.house import Person

PARTNERS = 3


class Evening:
    """Anna meets one after the other."""

    def __init__(self, house: House, anna: Person) -> None:
        self.house = house
        self.anna = anna
        self.noticed: list[tuple[LiveGuest, str, str]] = []
        house.skips.notice = lambda live, source, rule: self.noticed.append((live, source, rule))

    @classmethod
    async def begin(cls, **settings: object) -> Evening:
        house = House(**{"skip_partners": PARTNERS, **settings})  # type: ignore[arg-type]  # by name
        return cls(house, await house.visitor("Anna", features=("undo",)))

    async def meet(self) -> Person:
        partner = await self.house.visitor(features=("undo",))
        await self.anna.search()
        await partner.search()
        assert self.anna.live.member is not None
        assert self.anna.live.member.partner.live is partner.live
        return partner

    async def skipped(self, times: int = 1, *, after: float = 1.0, messages: int = 0) -> None:
        for _ in range(times):
            partner = await self.meet()
            for _ in range(messages):
                self.anna.say("Hello")
            self.house.clock.advance(after)
            self.house.rooms.leave(partner.live, "user_left")

    async def wait(self) -> float:
        """Return how long Anna has to wait before she may search."""
        try:
            await self.anna.search()
        except RateLimitedError as error:
            return error.retry_after or 0.0
        await self.anna.cancel()
        return 0.0


async def test_who_is_left_at_once_by_many_waits_and_a_case_is_opened() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS - 1)
    assert (await evening.wait(), evening.noticed) == (0.0, [])
    await evening.skipped()
    assert await evening.wait() == pytest.approx(PAUSE, abs=0.01)
    assert evening.noticed == [(evening.anna.live, "skips", "other")]
    evening.house.clock.advance(PAUSE + 0.01)
    assert await evening.wait() == 0.0


async def test_it_waits_longer_but_not_for_ever_and_one_case_an_hour_is_opened() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS)
    for number in range(2, 12):
        evening.house.clock.advance(LONGEST_PAUSE + 1)
        await evening.skipped()
        assert await evening.wait() == pytest.approx(min(LONGEST_PAUSE, PAUSE * number), abs=0.01)
    assert len(evening.noticed) == 1
    evening.house.clock.advance(3600)
    await evening.skipped()
    assert len(evening.noticed) == 2


async def test_who_stays_longer_ends_the_row_whoever_leaves() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS - 1)
    await evening.skipped(after=SOON + 1)
    await evening.skipped(PARTNERS - 1)
    assert await evening.wait() == 0.0
    await evening.meet()
    evening.house.clock.advance(SOON + 1)
    evening.house.rooms.leave(evening.anna.live, "user_left")
    await evening.skipped(PARTNERS - 1)
    assert await evening.wait() == 0.0
    lost = await evening.meet()
    lost.drop()
    await evening.house.clock.run(21)
    assert evening.anna.live.member is None
    await evening.skipped(PARTNERS - 1)
    assert await evening.wait() == 0.0


async def test_who_leaves_is_not_counted_and_neither_is_a_talk() -> None:
    evening = await Evening.begin()
    for _ in range(PARTNERS * 2):
        await evening.meet()
        evening.house.rooms.leave(evening.anna.live, "user_left")
    await evening.skipped(PARTNERS * 2, messages=FEW + 1)
    assert (await evening.wait(), evening.noticed) == (0.0, [])


async def test_who_takes_it_back_has_not_left() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS - 1)
    partner = await evening.meet()
    resume = partner.resume_from(0)
    assert evening.house.rooms.leave(partner.live, "user_left", undo=True)
    assert evening.noticed
    evening.house.presence.undo(partner.live, resume)
    await evening.house.settle()
    assert evening.anna.live.member is not None
    evening.house.rooms.leave(evening.anna.live, "user_left")
    assert await evening.wait() == 0.0


async def test_a_new_session_in_the_same_browser_goes_on_waiting() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS)
    other = await evening.house.visitor("Anna2")
    other.live.guest.origin = evening.anna.live.guest.root
    with pytest.raises(RateLimitedError):
        await other.search()


async def test_a_clock_that_is_set_changes_nothing() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS)
    for jump in (-1e9, 2e9):
        evening.house.clock.set_wall(jump)
        assert await evening.wait() == pytest.approx(PAUSE, abs=0.01)


async def test_any_number_may_leave_if_there_is_no_limit() -> None:
    evening = await Evening.begin(skip_partners=0)
    await evening.skipped(20)
    assert (await evening.wait(), evening.noticed, evening.house.skips._opened) == (0.0, [], {})


async def test_nothing_is_kept_of_rooms_that_are_over() -> None:
    evening = await Evening.begin()
    await evening.skipped(PARTNERS)
    assert evening.house.skips._opened == {}
    assert [row.room for row in evening.house.skips._rows.values()] == [None]


async def test_the_guest_is_told(start_server: StartServer) -> None:
    server = await start_server(skip_partners=1)
    _, anna = await server.visitor(username="Anna")
    _, partner = await server.visitor(username="Berta")
    await server.match(anna, partner)
    await partner.emit("chat:clear")
    await anna.until("chat:cleared")
    await anna.emit("user:match")
    refused = await anna.until("user:match:error")
    assert (refused["code"], 0 < refused["retryAfter"] <= PAUSE) == ("rate_limited", True)
