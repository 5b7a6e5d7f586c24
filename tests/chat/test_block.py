"""A guest who blocks another leaves at once, and the two never meet again: whatever sessions they come with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET

from passerby.chat.events import ChatCleared, Resume, RoomClosed, UserLeft
from passerby.errors import Code, ConflictError
from passerby.live import UNDO
from tests.support.clock import ManualClock
from tests.support.durable import Disk, begin, restart
from tests.support.house import House, Person

if TYPE_CHECKING:
    from passerby.models import Guest

SECONDS = 5.0
LONG = 1000.0
"""After it, whoever may meet at all has met."""


@pytest.fixture
def house() -> House:
    return House(undo_seconds=SECONDS)


def partner_of(person: Person) -> str | None:
    member = person.live.member
    return None if member is None else member.partner.guest.id


def leave(person: Person) -> Resume:
    room = person.live.membership().room
    assert person.house.rooms.leave(person.live, "user_left", undo=True)
    return Resume(room.id, room.epoch, room.seq)


async def block(person: Person) -> None:
    await person.house.presence.block(person.live)
    await person.house.settle()


async def never_meet(one: Person, other: Person) -> None:
    """Check it, where nobody else is."""
    for person in (one, other):
        if person.live.ticket is None:
            await person.search()
    await one.house.pass_time(LONG)
    assert (partner_of(one), partner_of(other)) == (None, None)
    assert None not in (one.live.ticket, other.live.ticket), "they search on"
    third = await one.house.visitor()
    await third.search()
    await one.house.settle()
    assert partner_of(third) in (one.id, other.id), "anybody else is met"


async def anew(person: Person) -> Person:
    """Come with a new session in the same browser."""
    former: Guest = person.live.guest
    again = Person(person.house, *await person.house.guests.create(None, None, None, None, former=former))
    await person.leave_for_good()
    await again.connect()
    return again


async def test_both_are_out_and_the_partner_hears_no_more_than_of_any_leaving(house: House) -> None:
    anna, berta = await house.pair(features=(UNDO,))
    await block(anna)

    assert berta.link.names() == ["room:user_left", "chat:cleared"]
    assert berta.link.last(UserLeft).undo is UNSET
    assert berta.link.last(ChatCleared).reason == "user_left"
    assert (house.rooms.count, house.rooms._parked) == (0, {})
    assert house.adapters.log.logs == {}  # type: ignore[attr-defined]  # that in memory
    await never_meet(anna, berta)


async def test_a_partner_who_is_away_hears_of_it_when_they_return(house: House) -> None:
    anna, berta = await house.pair()
    berta.drop()
    await block(anna)
    await berta.connect()

    assert berta.link.last(RoomClosed).reason == "user_left"
    await never_meet(anna, berta)


@pytest.mark.parametrize("who", ["the one who blocks", "the one who is blocked", "both"])
async def test_new_sessions_of_the_same_browsers_do_not_meet_either(house: House, who: str) -> None:
    anna, berta = await house.pair()
    await block(anna)
    for _ in range(2):
        if who != "the one who is blocked":
            anna = await anew(anna)
        if who != "the one who blocks":
            berta = await anew(berta)

    await never_meet(anna, berta)


@pytest.mark.parametrize("who", ["the one who blocks", "the one who is blocked"])
async def test_what_was_made_before_counts_too(house: House, who: str) -> None:
    """Of a browser with two tabs: the session in the other one."""
    anna, berta = await house.pair()
    tab = anna if who == "the one who blocks" else berta
    guest, token = await house.guests.create(None, None, None, None, former=tab.live.guest)
    await block(anna)
    other = Person(house, guest, token)
    await other.connect()

    await never_meet(other, berta if tab is anna else anna)


async def test_it_is_kept_with_both_sessions(house: House) -> None:
    anna, berta = await house.pair()
    await block(anna)
    for person, partner in ((anna, berta), (berta, anna)):
        saved = await house.adapters.store.load(person.session_id)
        assert saved is not None
        assert saved.never == [partner.id]


@pytest.mark.parametrize("blocks", ["who has left", "who stays"])
async def test_a_conversation_that_could_go_on_is_over(house: House, blocks: str) -> None:
    anna, berta = await house.pair(features=(UNDO,))
    resume = leave(anna)
    berta.link.clear()
    await block(anna if blocks == "who has left" else berta)

    assert house.rooms._parked == {}
    told = ["room:user_left", "chat:cleared"] if blocks == "who has left" else []
    assert berta.link.names() == told
    with pytest.raises(ConflictError) as refused:
        house.presence.undo(anna.live, resume)
    assert refused.value.code == Code.UNDO_IMPOSSIBLE
    await never_meet(anna, berta)


async def test_a_search_in_course_goes_on_without_the_other(house: House) -> None:
    anna, berta = await house.pair(features=(UNDO,))
    leave(anna)
    await anna.search()
    await house.pass_time(1)
    before = anna.live.ticket
    assert before is not None
    await block(berta)
    after = anna.live.ticket

    assert after is not None
    assert (after.entered_at, after.wish.never) == (before.entered_at, (berta.id,))
    assert await house.adapters.queue.size() == 1
    await never_meet(anna, berta)


async def test_a_search_that_was_interrupted_goes_on_without_the_other(house: House) -> None:
    anna, berta = await house.pair(features=(UNDO,))
    leave(anna)
    await anna.search()
    anna.drop()
    await house.settle()
    await block(berta)
    await anna.connect()

    await never_meet(anna, berta)


async def test_who_is_in_no_conversation_can_block_nobody(house: House) -> None:
    anna, berta = await house.pair(features=(UNDO,))
    leave(anna)
    await house.pass_time(SECONDS)
    for person in (anna, berta):
        with pytest.raises(ConflictError) as refused:
            await house.presence.block(person.live)
        assert refused.value.code == Code.NOT_IN_ROOM
        assert person.live.guest.never == []


async def test_it_outlives_the_process_with_the_search() -> None:
    disk = Disk(ManualClock())
    house = await begin(disk, (), undo_seconds=SECONDS)
    anna, berta = await house.pair(features=(UNDO,))
    leave(anna)
    await anna.search()
    await house.settle()
    former = disk.tickets[anna.id]
    await block(berta)
    disk.tickets[anna.id] = former  # as if the queue had not been told
    house = await restart(house, disk, anna, berta)
    for person in (anna, berta):
        await person.connect()
    assert anna.live.ticket is not None

    await never_meet(anna, berta)
