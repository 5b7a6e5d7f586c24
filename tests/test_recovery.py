from __future__ import annotations

import asyncio
import gc
from time import thread_time
from typing import TYPE_CHECKING

import msgspec
import pytest

from passerby.calls.events import (
    Answer,
    CallEnded,
    CallTimedOut,
    Candidate,
    EndCall,
    IceCandidate,
    Offer,
    RejectCall,
    ReportConnected,
    Ringing,
    SendAnswer,
    SendCandidate,
    SendOffer,
    SessionDescription,
)
from passerby.calls.saved import MAX_BYTES
from passerby.chat.events import PartnerBack, Resume, RoomClosed, RoomResumed
from passerby.errors import ConflictError, UnauthorizedError, UnavailableError
from passerby.guests.events import ConnectionEstablished
from tests.support.clock import ManualClock, turns
from tests.support.durable import Disk, begin, kill, restart, stop
from tests.support.failing import Failing
from tests.support.house import GRACE, RING, House, Person

if TYPE_CHECKING:
    from passerby.models import StoredFile


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


@pytest.mark.parametrize("since", [b"nan", b"-inf", b"inf", b"soon"])
async def test_a_damaged_time_of_absence_counts_as_none(house: House, disk: Disk, since: bytes) -> None:
    anna, berta = await house.pair()
    room = anna.live.membership().room
    house.adapters.log.note(room.id, room.epoch, f"away:{anna.live.guest.id}", since)
    house = await both_return(house, disk, anna, berta)
    assert house.rooms.count == 1
    assert house.background.failures.total() == 0


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


async def test_authors_learn_also_of_messages_that_the_log_has_no_more(disk: Disk) -> None:
    disk.messages = 3
    house = await begin(disk, [])
    anna, berta = await house.pair()
    house.rooms.confirm(berta.live, anna.say("read", "a-0").message_id)
    said = [anna.say(f"text {number}", f"a-{number}") for number in range(1, 6)]
    resume = anna.resume_from(6)
    house = await restart(house, disk, anna, berta)
    await anna.connect(resume)
    await house.pass_time(GRACE)
    undelivered = anna.link.last(RoomClosed).undelivered
    assert [lost.message_id for lost in undelivered] == [sent.message_id for sent in said]


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


async def test_a_room_whose_newest_messages_are_lost_ends(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    said = anna.say("one")
    kept = dict(disk.rooms)
    anna.say("two")  # the log was out of reach when it came
    disk.rooms.update(kept)
    resume = anna.resume_from(2)
    house = await restart(house, disk, anna, berta)
    await berta.connect()
    await anna.connect(resume)
    for person, partner in ((anna, berta), (berta, anna)):
        closed = person.link.last(RoomClosed)
        assert (closed.user_id, closed.reason) == (partner.id, "partner_offline")
    assert [lost.message_id for lost in anna.link.last(RoomClosed).undelivered] == [said.message_id]
    assert disk.rooms == {}


async def test_a_stop_that_takes_long_ends_no_grace_window(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    house.prepare_stop()
    anna.drop()
    berta.drop()
    await house.pass_time(GRACE + 1)
    await house.stop()
    house = await begin(disk, [anna, berta])
    await house.pass_time(GRACE - 0.1)
    assert house.rooms.count == 1


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


# ── searches ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gently", [True, False])
async def test_a_search_keeps_its_place(house: House, disk: Disk, gently: bool) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    ticket = anna.live.ticket
    assert ticket is not None
    await house.pass_time(3)
    house = await restart(house, disk, anna, gently=gently)
    await anna.connect()
    assert anna.live.ticket is not None
    assert anna.live.ticket.entered_at == ticket.entered_at
    assert anna.link.names().count("user:match:searching") == 1
    berta = await house.visitor("Berta")
    await berta.search()
    assert anna.live.membership().partner is berta.live.member
    assert disk.tickets == {}


async def test_a_search_of_who_was_away_keeps_its_place(house: House, disk: Disk) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    anna.drop()
    await house.settle()
    house = await restart(house, disk, anna)
    await anna.connect()
    assert anna.live.ticket is not None


async def test_who_was_told_of_a_room_that_was_not_kept_is_not_searching_again(house: House, disk: Disk) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search()
    kept = disk.tickets.copy()
    await berta.search()
    resume = anna.resume_from(0)
    await kill(house, disk, [anna, berta])
    disk.rooms.clear()  # as if the process had died before it was written
    disk.tickets.update(kept)
    house = await begin(disk, [anna, berta])
    await anna.connect(resume)
    assert anna.link.last(RoomClosed).user_id == berta.id
    assert anna.live.ticket is None
    house = await restart(house, disk, anna)
    await anna.connect()  # the client knows no room any more
    assert anna.live.ticket is None


@pytest.mark.parametrize("knows_the_room", [True, False])
async def test_who_is_in_a_room_is_not_searching_again_when_it_has_ended(
    house: House, disk: Disk, knows_the_room: bool
) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search()
    kept = disk.tickets.copy()
    await berta.search()
    resume = anna.resume_from(0)
    disk.tickets.update(kept)  # as if the process had died before they were forgotten
    house = await restart(house, disk, anna, berta)
    await anna.connect(resume if knows_the_room else None)
    house.rooms.leave(anna.live, "user_left")
    house = await restart(house, disk, anna)
    await anna.connect()
    assert anna.live.ticket is None


async def test_who_has_ended_a_search_is_not_searching_again(house: House, disk: Disk) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    await anna.cancel()
    house = await restart(house, disk, anna)
    await anna.connect()
    assert anna.live.ticket is None


# ── calls ─────────────────────────────────────────────────────────────────────────────────────────

SDP = "v=0\r\na=ice-ufrag:abcd\r\n"


def call(anna: Person) -> None:
    anna.house.calls.offer(anna.live, SendOffer(offer=SessionDescription("offer", SDP), type="audio"))


def take(berta: Person) -> str:
    call_id = berta.link.last(Offer).call_id
    berta.house.calls.answer(berta.live, SendAnswer(answer=SessionDescription("answer", SDP), call_id=call_id))
    return call_id


def candidate(person: Person, call_id: str | None, text: str = "candidate:1 1 udp 1 192.0.2.1 9 typ host") -> None:
    person.house.calls.candidate(person.live, SendCandidate(candidate=IceCandidate(text), call_id=call_id))


async def both_return(house: House, disk: Disk, anna: Person, berta: Person) -> House:
    await turns()
    resumes = [person.resume_from(0) for person in (anna, berta)]
    house = await restart(house, disk, anna, berta)
    for person, resume in zip((anna, berta), resumes, strict=True):
        await person.connect(resume)
    return house


async def test_a_call_with_flowing_media_goes_on(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    call_id = take(berta)
    house.calls.connected(anna.live, ReportConnected(call_id=call_id))
    house = await both_return(house, disk, anna, berta)
    for person in (anna, berta):
        assert [name for name in person.link.names() if name.startswith("webrtc")] == []
    assert house.background.failures.total() == 0
    house.calls.offer(berta.live, SendOffer(offer=SessionDescription("offer", SDP), type="video", call_id=call_id))
    assert anna.link.last(Offer).call_id == call_id
    house.calls.hang_up(anna.live, EndCall, call_id)
    assert berta.link.last(CallEnded).call_id == call_id


async def test_a_call_rings_for_its_remaining_time(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    candidate(anna, None)
    await house.pass_time(RING - 4)
    house = await both_return(house, disk, anna, berta)
    ringing, offer = anna.link.last(Ringing), berta.link.last(Offer)
    assert (ringing.timeout, ringing.call_id) == (4.0, offer.call_id)
    assert berta.link.of(Candidate) == [], "they wait for the answer"
    await house.pass_time(3.9)
    assert berta.link.of(CallTimedOut) == []
    await house.pass_time(0.2)
    assert (anna.link.last(CallTimedOut).call_id, berta.link.last(CallTimedOut).call_id) == (offer.call_id,) * 2


async def test_a_call_that_rings_is_answered_after_the_start(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    candidate(anna, None)
    house = await both_return(house, disk, anna, berta)
    take(berta)
    assert anna.link.last(Answer).answer.sdp == SDP
    assert len(berta.link.of(Candidate)) == 1
    await house.pass_time(RING)
    assert berta.link.of(CallTimedOut) == []


async def test_a_call_that_was_connecting_finishes(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    call_id = take(berta)
    for person in (anna, berta):
        candidate(person, call_id)
    await turns()
    await house.pass_time(0.2)
    house = await both_return(house, disk, anna, berta)
    assert anna.link.last(Answer).call_id == call_id
    assert len(anna.link.of(Candidate)) == len(berta.link.of(Candidate)) == 1
    assert berta.link.of(Offer) == []
    house.calls.connected(berta.live, ReportConnected(call_id=call_id))


async def test_who_hides_the_address_hides_it_after_the_start(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    house.calls.offer(anna.live, SendOffer(offer=SessionDescription("offer", SDP), type="audio", relay_only=True))
    call_id = take(berta)
    house = await both_return(house, disk, anna, berta)
    candidate(anna, call_id)
    candidate(berta, call_id)
    assert berta.link.of(Candidate) == []
    assert len(anna.link.of(Candidate)) == 1


async def test_an_ended_call_stays_ended_and_who_was_away_learns_of_it(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    call_id = take(berta)
    anna.drop()
    house.calls.hang_up(berta.live, EndCall, call_id)
    await house.pass_time(0.2)
    house = await both_return(house, disk, anna, berta)
    assert anna.link.last(CallEnded).call_id == call_id
    candidate(anna, call_id)  # late: ignored
    call(berta)
    assert anna.link.last(Offer).call_id != call_id
    await house.pass_time(RING + 1)
    house.rooms.leave(anna.live, "user_left")
    assert house.calls._kept == set()
    assert house.calls._unkept == {}


async def test_nothing_is_kept_of_calls_of_which_everybody_knows(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    call_id = take(berta)
    house.calls.hang_up(berta.live, EndCall, call_id)
    await house.pass_time(0.2)
    house = await both_return(house, disk, anna, berta)
    await house.pass_time(0.2)
    assert "call" not in disk.room(anna.live.membership().room.id).notes


async def test_who_was_declined_must_wait_also_after_the_start(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    call(anna)
    house.calls.hang_up(berta.live, RejectCall, None)
    house = await both_return(house, disk, anna, berta)
    with pytest.raises(ConflictError) as refused:
        call(anna)
    assert refused.value.code == "call_declined"
    await house.pass_time(11)
    call(anna)


@pytest.mark.parametrize(
    "note", [b"", b"{", b'{"call":{}}', b"\xff", b'{"call":null,"past":{"x":{"missed":[[0,"no","x"]]}}}']
)
async def test_a_damaged_note_is_no_call(house: House, disk: Disk, note: bytes) -> None:
    anna, berta = await house.pair()
    call(anna)
    await turns()
    room = anna.live.membership().room
    house.adapters.log.note(room.id, room.epoch, "call", note)
    house = await both_return(house, disk, anna, berta)
    assert house.rooms.count == 1
    assert berta.link.of(Offer) == []
    call(berta)


async def test_notes_about_calls_are_few_and_of_bounded_size(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    written: list[int] = []
    note = house.calls._note
    assert note is not None

    def write(room_id: str, epoch: int, name: str, value: bytes | None) -> None:
        written.append(len(value or b""))
        note(room_id, epoch, name, value)

    house.calls._note = write
    call(anna)
    call_id = take(berta)
    for number in range(100):
        candidate(anna, call_id, f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host " + "x" * 1900)
        candidate(berta, call_id, f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host " + "y" * 1900)
        await turns(1)
    await house.pass_time(1)
    assert len(written) == 2
    assert max(written) <= MAX_BYTES
    house = await both_return(house, disk, anna, berta)
    assert anna.link.last(Answer).call_id == call_id, "descriptions are kept"


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


async def bring(person: Person, body: bytes) -> StoredFile:
    upload = person.house.files.begin(person.live, name="a.txt", claimed="", size=len(body), voice=False, address="::1")
    await upload.write(body)
    return await upload.finish(upload.room.id)


@pytest.mark.parametrize("gently", [True, False])
async def test_files_outlive_the_process_with_their_links_and_quotas(house: House, disk: Disk, gently: bool) -> None:
    anna, berta = await house.pair()
    file = await bring(anna, b"some text")
    link = house.files.info(file)
    used = house.files.space.used
    house = await restart(house, disk, anna, berta, gently=gently)
    expires, signature = (part.partition("=")[2] for part in link.file_url.partition("?")[2].split("&"))
    found = await house.files.signed(file.id, expires, signature)
    assert found == file
    assert house.files.info(found) == link
    assert [part async for part in house.files.read(found, 0, found.size)] == [b"some text"]
    assert house.files.space.used == used == len(b"some text")
    assert house.files.space.addresses.count("::1") == 0
    await anna.connect()
    assert house.files._by_room[file.room_id].used == {anna.id: file.size}
    house.rooms.leave(anna.live, "user_left")
    await house.settle()
    assert house.files.space.used == 0
    assert await disk.blobs.files() == []


async def test_files_of_no_room_are_removed(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    await bring(anna, b"some text")
    disk.rooms.clear()
    house = await restart(house, disk, anna, berta)
    await house.settle()
    assert await disk.blobs.files() == []
    assert house.files.space.used == 0


@pytest.mark.parametrize(("unreadable", "error"), [("recall", None), ("rooms", OSError("out of reach"))])
async def test_files_are_kept_while_the_rooms_cannot_be_read(
    house: House, disk: Disk, unreadable: str, error: Exception | None
) -> None:
    anna, berta = await house.pair()
    file = await bring(anna, b"some text")
    await stop(house, [anna, berta])
    adapters = disk.adapters()
    broken = Failing(adapters["log"], unreadable, error=error)
    house = House(clock=disk.clock, stand_ins=adapters)
    running = asyncio.ensure_future(house.recovery.run())
    await turns()
    assert broken.calls == 1
    assert house.rooms.count == 0
    assert await disk.blobs.files() == [file]
    await house.pass_time(1.1)
    assert house.rooms.count == 1
    assert house.files.space.used == file.size
    await running


# ── the recovery itself ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_late", [False, True], ids=["at the start", "as soon as the store is back"])
async def test_who_returns_first_waits_until_the_rooms_are_open(house: House, disk: Disk, *, is_late: bool) -> None:
    anna, berta = await house.pair()
    resume = anna.resume_from(0)
    await kill(house, disk, [anna, berta])
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    anna.house = house
    if is_late:
        house.recovery.skip()  # the store is away at the start
        house.recovery.expect()
    arriving = asyncio.ensure_future(anna.arrive(resume))
    await turns()
    assert not arriving.done()
    await house.recovery.run()
    await arriving
    assert anna.live.member is not None


async def test_once_everybody_is_known_nobody_has_to_wait(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    house = await restart(house, disk, anna, berta)
    house.recovery.expect()
    clara = Person(house, *(await house.guests.create("Clara", None, None, None)))
    await clara.connect()
    assert clara.live.link is clara.link


async def test_nobody_waits_for_ever_or_is_logged_out(house: House, disk: Disk) -> None:
    anna, _ = await house.pair()
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    asking = asyncio.ensure_future(house.guests.authenticate(anna.token))
    await house.clock.run(5.1)
    with pytest.raises(UnavailableError) as refused:
        await asking
    assert refused.value.status == 503


async def test_a_list_that_cannot_be_read_holds_nobody_up(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    await kill(house, disk, [anna, berta])
    adapters = disk.adapters()
    Failing(adapters["log"], "rooms", times=4, error=OSError("out of reach"))
    house = House(clock=disk.clock, stand_ins=adapters)
    running = asyncio.ensure_future(house.recovery.run())
    await turns()
    clara = Person(house, *(await house.guests.create("Clara", None, None, None)))
    await clara.connect()
    await house.pass_time(8)
    await running
    assert house.rooms.count == 0
    await house.recovery.run()
    assert house.rooms.count == 1
    assert clara.live.link is clara.link


async def test_another_run_leaves_alone_who_is_here(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    file = await bring(anna, b"some text")
    house = await restart(house, disk, anna, berta)
    await anna.connect()
    room = anna.live.membership().room
    await house.recovery.run()
    assert anna.live.membership().room is room
    assert house.files.space.used == file.size
    assert house.rooms.count == 1


async def test_a_session_that_cannot_be_read_ends_no_room(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    clara, dora = await house.pair("Clara", "Dora")
    await kill(house, disk, [anna, berta, clara, dora])
    adapters = disk.adapters()
    Failing(adapters["store"], "load", times=1, error=OSError("out of reach"))
    house = House(clock=disk.clock, stand_ins=adapters)
    running = asyncio.ensure_future(house.recovery.run())
    await turns()
    assert house.rooms.count == 1
    assert len(disk.rooms) == 2
    await house.pass_time(1.1)
    await running
    assert house.rooms.count == 2


async def test_who_returns_before_the_room_was_read_waits_for_it(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    resume = anna.resume_from(0)
    await kill(house, disk, [anna, berta])
    adapters = disk.adapters()
    Failing(adapters["log"], "recall", times=1)
    house = House(clock=disk.clock, stand_ins=adapters)
    anna.house = house
    running = asyncio.ensure_future(house.recovery.run())
    arriving = asyncio.ensure_future(anna.arrive(resume))
    await turns()
    assert not arriving.done()
    await house.pass_time(1.1)
    await asyncio.gather(running, arriving)
    assert anna.live.member is not None


@pytest.mark.parametrize("gently", [True, False])
async def test_who_has_no_room_and_does_not_return_is_gone_after_the_grace_window(
    house: House, disk: Disk, gently: bool
) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    clara = await house.newcomer("Clara")
    await house.settle()
    house = await restart(house, disk, anna, berta, gently=gently)
    await house.settle()
    kept = await house.adapters.store.load(anna.session_id)
    assert kept is not None
    assert kept.is_online is False
    await house.pass_time(GRACE - 0.1)
    await berta.connect()
    await house.pass_time(0.2)
    assert await gone(anna)
    assert [live.guest.id for live in house.lives()] == [berta.id]
    clara.house = house
    assert not await gone(clara)  # whose client may still come for the first time


async def test_guests_without_a_room_are_not_taken_for_such_before_all_rooms_are_read(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    await kill(house, disk, [anna, berta])
    adapters = disk.adapters()
    Failing(adapters["log"], "rooms", times=1)
    house = House(clock=disk.clock, stand_ins=adapters)
    running = asyncio.ensure_future(house.recovery.run())
    await turns()
    assert house.lives() == []
    await house.pass_time(1.1)
    await running
    assert house.rooms.count == 1


async def test_who_returns_without_room_or_search_is_shown_so(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    clara = await house.visitor("Clara")
    await clara.search()
    await house.settle()
    disk.rooms.clear()
    disk.tickets.clear()
    house = await restart(house, disk, anna, berta, clara)
    for person in (anna, clara):
        await person.connect()
        guest = person.live.guest
        assert (guest.is_online, guest.in_chat, guest.connected_user, guest.is_searching) == (True, False, None, False)


async def test_a_damaged_message_ends_only_its_room(house: House, disk: Disk) -> None:
    anna, berta = await house.pair()
    clara, dora = await house.pair("Clara", "Dora")
    anna.say("hello")
    room = anna.live.membership().room
    damaged = disk.room(room.id)
    damaged.messages[0] = b'{"senderId":1}'
    disk.rooms[room.id] = msgspec.msgpack.encode(damaged)
    resume = anna.resume_from(1)
    house = await restart(house, disk, anna, berta, clara, dora)
    assert house.rooms.count == 1
    assert len(disk.rooms) == 1
    await anna.connect(resume)
    assert anna.link.last(RoomClosed).user_id == berta.id


async def test_many_rooms_hold_nobody_up(disk: Disk) -> None:
    count = 1000
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    await house.recovery.run()
    people = [await house.newcomer(f"Guest{number}") for number in range(2 * count)]
    for person in people:
        await person.arrive()
    for first, second in zip(people[::2], people[1::2], strict=True):
        house.rooms.open(first.live, second.live)
        first.say("hello")
    await house.settle()
    await kill(house, disk, people)
    house = House(clock=disk.clock, stand_ins=disk.adapters())
    running = asyncio.ensure_future(house.recovery.run())
    longest = 0.0
    gc.disable()  # it would look at all that other tests have left
    try:
        began = thread_time()
        while not running.done():
            await asyncio.sleep(0)
            now = thread_time()
            longest, began = max(longest, now - began), now
    finally:
        gc.enable()
    assert house.rooms.count == count
    assert longest < 0.1, "generous, for a busy machine: it is about 5 ms"
