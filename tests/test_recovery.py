from __future__ import annotations

import pytest

from passerby.chat.events import PartnerBack, Resume, RoomClosed, RoomResumed
from passerby.errors import UnauthorizedError
from passerby.guests.events import ConnectionEstablished
from tests.support.clock import ManualClock
from tests.support.durable import Disk, restart
from tests.support.house import GRACE, House, Person


@pytest.fixture
def disk() -> Disk:
    return Disk(ManualClock())


@pytest.fixture
async def house(disk: Disk) -> House:
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    await house.recovery.run()
    return house


async def gone(person: Person) -> bool:
    try:
        await person.house.guests.authenticate(person.token)
    except UnauthorizedError:
        return True
    return False


# ── rooms ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gently", [True, False])
async def test_a_room_and_its_messages_outlive_the_process(house: House, disk: Disk, gently: bool) -> None:
    anna, berta = await house.pair()
    anna.say("one", "a-1")
    resume = berta.resume_from(0)
    before = anna.resume_from(1)
    house = await restart(house, disk, anna, berta, gently=gently)

    await berta.connect(resume)
    established = berta.link.last(ConnectionEstablished)
    assert established.room is not None
    assert (established.room.room_id, established.room.epoch, established.room.seq) == (before.room_id, before.epoch, 1)
    resumed = berta.link.last(RoomResumed)
    assert (resumed.partner_away, resumed.seq, resumed.partner.username) == (True, 1, "Anna")
    assert berta.link.texts() == ["one"]
    await anna.connect(before)
    assert berta.link.last(PartnerBack).user_id == anna.id
    again = anna.say("one", "a-1")
    assert again.seq == 1, "the client id is remembered"
    anna.say("two")
    assert berta.link.texts() == ["one", "two"]
    assert house.rooms.online_members == 2


async def test_a_room_to_which_nobody_returns_ends_by_itself(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    anna.say("hello")
    house = await restart(house, disk, anna, berta)
    assert house.rooms.count == 1
    await house.pass_time(GRACE)
    assert house.rooms.count == 0
    assert disk.rooms == {}
    assert await gone(anna)
    assert await gone(berta)
    assert house.background.failures.total() == 0


async def test_the_grace_window_of_who_was_away_goes_on(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    anna.drop()
    said = berta.say("are you there?", "b-1")
    await house.pass_time(GRACE - 8)
    house = await restart(house, disk, anna, berta)
    await berta.connect(Resume(room_id="other", epoch=1, seq=0))
    await house.pass_time(7.9)
    assert berta.live.member is not None
    await house.pass_time(0.2)
    closed = berta.link.last(RoomClosed)
    assert (closed.reason, closed.username) == ("user_disconnected", "Anna")
    assert [lost.message_id for lost in closed.undelivered] == [said.message_id]


async def test_who_was_away_for_long_gets_a_moment_to_return(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.pass_time(GRACE - 1)
    house = await restart(house, disk, anna, berta)
    await house.pass_time(4.9)
    assert not await gone(anna)
    await house.pass_time(0.2)
    assert await gone(anna)


async def test_who_is_back_is_not_away_after_the_next_start(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.pass_time(GRACE - 1)
    await anna.connect(anna.resume_from(0))
    house = await restart(house, disk, anna, berta)
    await house.pass_time(GRACE - 0.1)
    assert not await gone(anna)


async def test_starts_in_a_row_prolong_no_grace_window(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    for _ in range(3):
        house = await restart(house, disk, anna, berta)
        await house.pass_time(5)
    house = await restart(house, disk, anna, berta)
    await house.pass_time(5.1)
    assert await gone(anna)
    assert disk.rooms == {}


async def test_confirmations_outlive_the_process(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    first, second = anna.say("one"), anna.say("two")
    house.rooms.confirm(berta.live, first.message_id)
    resume = anna.resume_from(2)
    house = await restart(house, disk, anna, berta)
    await anna.connect(resume)
    assert anna.link.last(RoomResumed).delivered == 1
    await house.pass_time(GRACE)
    assert [lost.message_id for lost in anna.link.last(RoomClosed).undelivered] == [second.message_id]


async def test_a_message_that_was_logged_but_not_acknowledged_is_delivered_once(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    disk.process.is_silent = True
    house.rooms.send(anna.live.membership(), "text", "did it arrive?", "a-1", None)
    resume = anna.resume_from(0)
    house = await restart(house, disk, anna, berta)
    await berta.connect(Resume(room_id=resume.room_id, epoch=resume.epoch, seq=0))
    await anna.connect(resume)
    assert anna.say("did it arrive?", "a-1").seq == 1
    assert berta.link.texts() == ["did it arrive?"]


async def test_who_has_left_just_before_is_in_the_newer_room(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    kept = dict(disk.rooms)
    said = berta.say("hello?")
    kept.update(disk.rooms)
    house.rooms.leave(anna.live, "user_left")
    clara = await house.visitor("Clara")
    await anna.search()
    await clara.search()
    disk.rooms.update(kept)  # the removal was not written in time
    house = await restart(house, disk, anna, berta, clara)
    assert house.rooms.count == 1
    await berta.connect()
    closed = berta.link.last(RoomClosed)
    assert (closed.user_id, closed.reason) == (anna.id, "partner_offline")
    assert [lost.message_id for lost in closed.undelivered] == [said.message_id]
    await anna.connect()
    assert anna.live.membership().partner.guest.id == clara.id
    assert list(disk.rooms) == [anna.live.membership().room.id]


async def test_whose_partner_has_no_session_any_more_is_told(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    anna.say("hello")
    said = berta.say("hello", "b-1")
    house.rooms.confirm(berta.live, anna.say("again").message_id)
    await house.settle()
    await disk.sessions.remove(anna.session_id)
    house = await restart(house, disk, anna, berta)
    assert house.rooms.count == 0
    assert disk.rooms == {}
    await berta.connect()
    closed = berta.link.last(RoomClosed)
    assert (closed.user_id, closed.username, closed.reason) == (anna.id, "Anna", "partner_offline")
    assert [(lost.message_id, lost.client_id) for lost in closed.undelivered] == [(said.message_id, "b-1")]
    assert berta.live.guest.in_chat is False


async def test_a_later_room_has_a_greater_epoch_also_if_the_clock_was_set_back(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    first = anna.live.membership().room.epoch
    house.rooms.leave(anna.live, "user_left")
    await house.settle()
    disk.clock.set_wall(-5)
    house = await restart(house, disk, anna, berta)
    await anna.connect()
    await berta.connect()
    await anna.search()
    await berta.search()
    assert anna.live.membership().room.epoch > first
